import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import { all, button, click, one, settle, show } from '../dom';
import { Panel } from '../../src/components/Panel';
import { SidePanel } from '../../src/components/side/SidePanel';
import type { SideActs } from '../../src/components/side/acts';
import { event, map, snapshot } from '../example';
import { RecordedTransport } from '../recorded';

const EVIL = '<img src=x onerror="globalThis.hacked=1">';
const panel = (state = snapshot(), transport?: RecordedTransport) =>
  show(feed => <Panel feed={feed} name="score" />, state, transport);

test('a running map is seen with bar, numbers, rate, failures, time left and workers', async () => {
  const running = map('m', { total: 10_000, done: 7102, failed: 3, rate: 171, slowest: [6881, 2.1] });
  const shown = await panel(snapshot({ maps: [running] }));
  const line = one(shown.root, '.faas-map');
  assert.equal(one(line, '[role="progressbar"]').getAttribute('aria-valuenow'), '71');
  assert.match(line.textContent, /score71 %7\u202f102\/10\u202f0003 failed17 s left/);
  assert.match(line.textContent, /171\/son replicas█▅slowest item 2\.1 s \(#6881\)/);
  assert.equal(one(line, '.faas-map-strip').getAttribute('aria-label'), '2 workers, 75 % busy');
  shown.close();
});

test('a map whose end nobody knows tells what is done', async () => {
  const shown = await panel(snapshot({ maps: [map('m', { total: null, rate: 0.25, engine: 'ray', note: 'Ray has started.' })] }));
  assert.match(one(shown.root, '.faas-map').textContent, /^score71.*0\.25\/son Ray█▅✕Ray has started\.$/);
  assert.equal(one(shown.root, '[role="progressbar"]').getAttribute('aria-valuetext'), '71 done');
  shown.close();
});

test('cancelling asks for a second press, and says why it was not done', async () => {
  const transport = new RecordedTransport();
  const path = 'DELETE v1/maps/m?namespace=default';
  transport.answers.set(path, { status: 404, body: { detail: 'No map m is known here.' }, headers: {} });
  const shown = await panel(snapshot({ maps: [map('m')] }), transport);
  const before = transport.acts.length;
  await click(button(shown.root, 'cancel the map of score'));
  assert.equal(transport.acts.length, before);
  await click(button(shown.root, 'press again to cancel the map of score'));
  assert.deepEqual(transport.acts.at(-1)?.slice(0, 2), ['DELETE', 'v1/maps/m?namespace=default']);
  assert.match(one(shown.root, '.faas-map').textContent, /No map m is known here\./);
  shown.close();
});

test('the end of a map is said in its line; a function shows its own maps only', async () => {
  const shown = await panel(snapshot({ maps: [map('m'), map('n', { function: 'other' })] }));
  assert.equal(all(shown.root, '.faas-map').length, 1);
  shown.say({ type: 'events', events: [event(11, 'map', map('m', { state: 'failed', note: EVIL }))] });
  await settle();
  assert.match(one(shown.root, '.faas-map').textContent, /✕ failed<img src=x/);
  assert.equal(all(shown.root, '.faas-map button, img').length, 0);
  shown.close();
});

test('what failed of a kept map runs again when asked, in the same line', async () => {
  const transport = new RecordedTransport();
  const kept = map('m', { isKept: true, failed: 2 });
  const shown = await panel(snapshot({ maps: [kept] }), transport);
  const buttons = () => all(shown.root, '.faas-map button').map(node => node.textContent);
  assert.deepEqual(buttons(), ['✕']);
  shown.say({ type: 'events', events: [event(11, 'map', { ...kept, state: 'done' })] });
  await settle();
  await click(button(shown.root, 'retry what failed of the map of score'));
  assert.deepEqual(transport.acts.at(-1)?.slice(0, 2), ['POST', 'v1/maps/m/retry?namespace=default']);
  shown.say({ type: 'events', events: [event(12, 'map', { ...kept, failed: 0 })] });
  await settle();
  assert.deepEqual(buttons(), ['✕']);
  shown.say({ type: 'events', events: [event(13, 'map', { ...kept, failed: 0, state: 'done' })] });
  await settle();
  assert.deepEqual(buttons(), []);
  shown.close();
});

test('the side panel and the table of all have the maps of all functions', async () => {
  const state = snapshot({ maps: [map('m'), map('n', { function: 'other' })] });
  const acts = {} as SideActs;
  for (const view of [
    await show(feed => <SidePanel feed={feed} acts={acts} wanted={null} />, state),
    await show(feed => <Panel feed={feed} name={null} />, state)
  ]) {
    assert.deepEqual(all(view.root, '.faas-map-name').map(node => node.textContent), ['score', 'other']);
    view.close();
  }
});
