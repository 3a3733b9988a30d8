import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import { all, button, click, one, press, settle, show, type } from '../dom';
import { FunctionPanel } from '../../src/components/FunctionPanel';
import { PAUSE_MS } from '../../src/components/Scaling';
import { PAUSE_MS as TRAFFIC_PAUSE_MS } from '../../src/components/Revisions';
import { brief, call, COUNTS, event, NOW_S, piece, replica, revision, snapshot, view } from '../example';
import { RecordedTransport } from '../recorded';

const EVIL = '<img src=x onerror="globalThis.hacked=1"><b>bold</b>';

const panel = (state = snapshot(), transport?: RecordedTransport) =>
  show(feed => <FunctionPanel feed={feed} name="score" />, state, transport);

test('replicas are marks with a tooltip each and one sentence for all', async () => {
  const shown = await panel(
    snapshot({
      replicas: [replica('a', 'busy'), replica('b', 'ready'), replica('c', 'starting'), replica('d', 'draining')]
    })
  );
  assert.equal(one(shown.root, '.faas-dots').textContent, '●○◌◐');
  assert.equal(
    one(shown.root, '.faas-dots').getAttribute('aria-label'),
    '4 replicas: 1 busy, 1 ready, 1 starting, 1 draining'
  );
  assert.match(one(shown.root, '.faas-dot').title, /^busy, 1 in flight, revision 1\n/);
  shown.say({ type: 'events', events: [event(11, 'replica', replica('a', 'lost', { reason: 'killed' }))] });
  await settle();
  assert.equal(one(shown.root, '.faas-dots').textContent, '✕○◌◐');
  assert.match(shown.root.textContent, /✕ lost: killed/);
  shown.close();
});

test('why a replica waits is said where the replicas are', async () => {
  const waiting = replica('a', 'starting', { reason: 'no node has 64 CPUs free (largest: 2)' });
  const shown = await panel(snapshot({ replicas: [waiting] }));
  assert.match(one(shown.root, '.faas-reason').textContent, /◌ waiting .+: no node has 64 CPUs/);
  shown.close();
});

test('numbers, the last decision and the cost', async () => {
  const counts = { ...COUNTS, accepted: 12403, errors: 3, userErrors: 3, p50Milliseconds: 8.1, coldStarts: 2 };
  const scaled = { revision: 1, before: 2, after: 5, reason: '2 → 5: 14 in flight over target 3', at: NOW_S };
  const shown = await panel(snapshot({ functions: [view('score', { counts, scaled })] }));
  const totals = one(shown.root, '.faas-totals').textContent;
  assert.match(totals, /calls 12\u202f403errors 3 \(user 3, platform 0\)p50 8\.1 msp95 –cold 2cost 0\.0 GB·s/);
  assert.equal(one(shown.root, '.faas-totals').title, 'since it was deployed');
  const gateway = { state: 'live', provider: 'kubernetes', url: '', version: '', reason: '' } as const;
  shown.say({ type: 'gateway', gateway });
  shown.say({ type: 'events', events: [event(11, 'function', view('score', { counts, scaled }))] });
  await settle();
  assert.equal(one(shown.root, '.faas-totals').title, 'since the gateways started');
  assert.match(one(shown.root, '.faas-decision').textContent, /^2 → 5, .+: 14 in flight over target 3$/);
  shown.close();
});

test('a limit that is typed is applied after a moment, and says so', async t => {
  const shown = await panel();
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const max = all<HTMLInputElement>(shown.root, '.faas-scaling input')[1]!;
  await type(max, '5');
  await settle();
  t.mock.timers.tick(PAUSE_MS);
  await settle();
  assert.deepEqual(shown.transport.acts.at(-1), [
    'PATCH',
    'v1/functions/score/scaling?namespace=default',
    { maxContainers: 5 }
  ]);
  assert.match(one(shown.root, '.faas-scaling').textContent, /applied ✓/);
  shown.close();
});

test('a limit that is refused stays as it was typed, with the reason', async () => {
  const transport = new RecordedTransport();
  const path = 'v1/functions/score/scaling?namespace=default';
  transport.answers.set(`PATCH ${path}`, { status: 422, body: { detail: 'max_containers: at least 1.' }, headers: {} });
  const shown = await panel(snapshot(), transport);
  const max = all<HTMLInputElement>(shown.root, '.faas-scaling input')[1]!;
  await type(max, '0');
  one<HTMLFormElement>(shown.root, '.faas-scaling').dispatchEvent(new Event('submit', { cancelable: true }));
  await settle();
  assert.match(one(shown.root, '.faas-scaling').textContent, /max_containers: at least 1\./);
  assert.equal(max.value, '0');
  shown.close();
});

test('what is no number is not sent', async () => {
  const shown = await panel();
  const before = shown.transport.acts.length;
  await type(all<HTMLInputElement>(shown.root, '.faas-scaling input')[0]!, '-1');
  one<HTMLFormElement>(shown.root, '.faas-scaling').dispatchEvent(new Event('submit', { cancelable: true }));
  await settle();
  assert.match(one(shown.root, '.faas-scaling').textContent, /min: a number from 0 on\./);
  assert.equal(shown.transport.acts.length, before);
  shown.close();
});

test('a slider divides traffic, and roll back names its revision', async t => {
  const state = snapshot({ functions: [view('score', { latest: 2, traffic: { '2': 100 } })], revisions: [brief(1), brief(2)] });
  const shown = await panel(state);
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const sliders = all<HTMLInputElement>(shown.root, 'input[type="range"]');
  assert.deepEqual(sliders.map(slider => [slider.value, slider.disabled]), [['100', true], ['0', false]]);
  await type(sliders[1]!, '10');
  await settle();
  t.mock.timers.tick(TRAFFIC_PAUSE_MS);
  await settle();
  assert.deepEqual(shown.transport.acts.at(-1)?.[2], { traffic: { '2': 90, '1': 10 } });
  await click(button(shown.root, 'roll back to revision 1'));
  assert.deepEqual(shown.transport.acts.at(-1), [
    'POST',
    'v1/functions/score/rollback?namespace=default',
    { to: 1 }
  ]);
  shown.close();
});

test('a revision says which cell it came from', async () => {
  const origin = { ...brief(1).origin, cellNumber: 7 };
  const shown = await panel(snapshot({ revisions: [brief(1, { origin })] }));
  assert.match(one(shown.root, '.faas-origin').textContent, /^cell 7 · a\.ipynb · ada$/);
  shown.close();
});

test('calls with how they ended and who was at fault; a traceback opens', async () => {
  const transport = new RecordedTransport();
  const invocations = [
    call('a', { cold: true, startedAt: NOW_S - 9 }),
    call('b', { outcome: 'error', code: 'remote', detail: 'ValueError: empty text\n  File "cell", line 3' }),
    call('c', { outcome: 'lost', code: 'replica_lost', detail: 'out of memory', startedAt: NOW_S - 7 })
  ];
  transport.answers.set('GET v1/functions/score/invocations?limit=20&namespace=default', { status: 200, body: { invocations }, headers: {} });
  const shown = await panel(snapshot(), transport);
  const rows = all(shown.root, '.faas-calls tbody tr').map(row => row.textContent);
  assert.match(rows[0]!, /error8\.0 ms0 ms1userValueError: empty text/);
  assert.match(rows[1]!, /lost.+platformout of memory/);
  assert.match(rows[2]!, /ok.+cold/);
  await click(button(shown.root, 'traceback'));
  assert.match(one(shown.root, '.faas-traceback').textContent, /File "cell", line 3/);
  shown.close();
});

test('the log follows, is filtered by call, and unfollowing ends the wish', async () => {
  const shown = await panel();
  assert.deepEqual(shown.transport.wishes.at(-1), { calls: ['score'], logs: ['score'], max_hz: 4 });
  const lines = [piece(1, 'one\n'), piece(2, 'two\n', { invocation: '9c', stream: 'stderr' })];
  shown.say({ type: 'log', function: 'score', lines });
  await settle();
  const texts = () => all(shown.root, '.faas-log-text').map(node => node.textContent);
  assert.deepEqual(texts(), ['one', 'two']);
  assert.match(one(shown.root, '.faas-log-line time').textContent, /^\d\d:\d\d:\d\d\.001$/);
  await type(one<HTMLSelectElement>(shown.root, 'select'), '9c', 'change');
  await settle();
  assert.deepEqual(texts(), ['two']);
  const follow = one<HTMLInputElement>(shown.root, 'input[type="checkbox"]');
  await click(follow);
  assert.deepEqual(shown.transport.wishes.at(-1)?.logs, []);
  shown.close();
  assert.equal(shown.transport.wishes.at(-1), null);
});

test('whatever comes from a function or a person stays text', async () => {
  const evil = view('score', { reason: EVIL, url: EVIL, scaled: { revision: 1, before: 0, after: 1, reason: EVIL, at: NOW_S } });
  const transport = new RecordedTransport();
  transport.answers.set('GET v1/functions/score/revisions?namespace=default', {
    status: 200,
    body: { revisions: [revision(1, { changes: [EVIL] })] },
    headers: {}
  });
  const shown = await panel(
    snapshot({
      functions: [evil],
      replicas: [replica('a', 'starting', { reason: EVIL, node: EVIL })],
      revisions: [brief(1, { state: 'failed', reason: EVIL, origin: { owner: EVIL, notebook: EVIL, cellId: EVIL, sourceDigest: '', session: '' } })]
    }),
    transport
  );
  shown.say({ type: 'gateway', gateway: { state: 'reconnecting', provider: '', url: '', version: '', reason: EVIL } });
  shown.say({ type: 'log', function: 'score', lines: [piece(1, `${EVIL}\n`, { invocation: EVIL })] });
  shown.say({ type: 'events', events: [event(11, 'call', call('x', { outcome: 'error', detail: `${EVIL}\n${EVIL}` }))] });
  await settle();
  await click(button(shown.root, 'traceback'));
  await settle();
  assert.equal(all(shown.root, 'img').length, 0);
  assert.equal(all(shown.root, 'b').filter(node => node.textContent === 'bold').length, 0);
  const seen = shown.root.textContent.split('<img src=x').length - 1;
  assert.ok(seen >= 8, `${seen} of them are seen as text`);
  shown.close();
});

test('the menu goes by keys, and deleting asks first', async () => {
  const shown = await panel();
  const opener = button(shown.root, 'more for score');
  await press(opener, 'ArrowDown');
  assert.deepEqual(all(shown.root, '[role="menuitem"]').map(item => item.textContent), [
    'Copy address',
    'Copy curl line',
    'Delete…'
  ]);
  await settle();
  assert.equal(document.activeElement?.textContent, 'Copy address');
  await press(document.activeElement as HTMLElement, 'End');
  assert.equal(document.activeElement.textContent, 'Delete…');
  await press(document.activeElement as HTMLElement, 'Escape');
  assert.equal(document.activeElement, opener);
  await click(opener);
  const acts = shown.transport.acts.length;
  await click(button(shown.root, 'Delete…'));
  assert.equal(shown.transport.acts.length, acts);
  await click(button(one(shown.root, '[role="alertdialog"]'), 'Delete'));
  assert.deepEqual(shown.transport.acts.at(-1)?.slice(0, 2), ['DELETE', 'v1/functions/score?namespace=default']);
  shown.close();
});

test('while a deletion is asked for, what happens meanwhile leaves the focus where it is', async () => {
  const shown = await panel(snapshot({ replicas: [replica('a', 'ready')] }));
  await click(button(shown.root, 'more for score'));
  await click(button(shown.root, 'Delete…'));
  await settle();
  const dialog = one(shown.root, '[role="alertdialog"]');
  assert.equal(document.activeElement, button(dialog, 'Keep'));
  button(dialog, 'Delete').focus();
  shown.say({ type: 'events', events: [event(11, 'function', view('score', { counts: { ...COUNTS, inFlight: 1 } }))] });
  await settle();
  assert.equal(document.activeElement, button(dialog, 'Delete'));
  shown.close();
});

test('a change draws what has changed and leaves the rest of the page alone', async () => {
  const shown = await panel(snapshot({ replicas: [replica('a', 'ready'), replica('b', 'ready')] }));
  const dots = all(shown.root, '.faas-dot');
  const max = all<HTMLInputElement>(shown.root, '.faas-scaling input')[1]!;
  max.focus();
  shown.say({ type: 'events', events: [event(11, 'replica', replica('b', 'busy'))] });
  await settle();
  assert.deepEqual(all(shown.root, '.faas-dot'), dots);
  assert.equal(dots[1]?.textContent, '●');
  assert.equal(document.activeElement, max);
  shown.close();
});

test('a deleted function says so; one that comes back is shown again', async () => {
  const shown = await panel();
  shown.say({ type: 'events', events: [event(11, 'deleted', {})] });
  await settle();
  assert.match(shown.root.textContent, /score is not deployed here/);
  shown.say({ type: 'events', events: [event(12, 'function', view('score'))] });
  await settle();
  assert.equal(all(shown.root, '.faas-load').length, 1);
  shown.close();
});

test('states of the gateway are said in words', async () => {
  const shown = await panel();
  const line = () => one(shown.root, '.faas-gateway-line').textContent;
  assert.equal(line(), '');
  const gateway = { state: 'reconnecting', provider: '', url: '', version: '', reason: 'Trying again.' } as const;
  shown.say({ type: 'gateway', gateway });
  await settle();
  assert.equal(line(), '◌ reconnecting… Trying again.');
  shown.say({ type: 'gateway', gateway: { ...gateway, state: 'asleep', reason: '' } });
  await settle();
  assert.match(line(), /^asleep: /);
  shown.close();
});

test('a widget says that its actions wait for the running cell', async () => {
  const transport = new RecordedTransport();
  transport.actsWait = true;
  const shown = await panel(snapshot(), transport);
  assert.match(one(shown.root, '.faas-gateway-line').textContent, /actions wait for the running cell/);
  shown.close();
});
