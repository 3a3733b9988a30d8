import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import { all, button, click, one, settle, show } from '../dom';
import { Panel } from '../../src/components/Panel';
import { COUNTS, event, replica, snapshot, view } from '../example';

const table = (state = snapshot()) => show(feed => <Panel feed={feed} name={null} />, state);

test('all functions, one line each, in order; each opens and leads back', async () => {
  const failed = view('train', { state: 'failed', reason: 'image not found', traffic: {} });
  const shown = await table(
    snapshot({ functions: [failed, view('score'), view('clean')], replicas: [replica('a', 'busy')] })
  );
  const rows = all(shown.root, 'tbody tr').map(row => row.textContent);
  assert.match(rows[0]!, /^cleanasleep/);
  assert.match(rows[1]!, /^score●.+1 · 100 %$/);
  assert.match(rows[2]!, /^train✕ image not found/);
  await click(button(shown.root, 'score'));
  assert.equal(one(shown.root, 'h2').textContent, 'score');
  await click(button(shown.root, 'back to all functions'));
  assert.equal(all(shown.root, 'tbody tr').length, 3);
  shown.close();
});

test('of many functions only the line that has changed is drawn anew', async () => {
  const shown = await table(snapshot({ functions: [view('score'), view('clean')] }));
  const clean = all(shown.root, 'tbody tr')[0]!;
  const before = clean.outerHTML;
  shown.say({ type: 'events', events: [event(11, 'counts', { ...COUNTS, inFlight: 7 })] });
  await settle();
  assert.match(all(shown.root, 'tbody tr')[1]?.textContent ?? '', /7/);
  assert.equal(clean.outerHTML, before);
  shown.close();
});

test('nothing deployed says what to do', async () => {
  const shown = await table(snapshot({ functions: [] }));
  assert.match(shown.root.textContent, /Nothing deployed yet\. Put @serverless above a function/);
  shown.close();
});
