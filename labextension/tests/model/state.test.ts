import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import { apply, EMPTY, find, pruned, type State } from '../../src/model/state';
import type { GatewayEvent, Replica, Snapshot } from '../../src/model/types';
import { brief, call, COUNTS, event, NOW_S, piece, replica, snapshot, view } from '../example';

const started = (more: Partial<Snapshot> = {}): State =>
  apply(EMPTY, { type: 'snapshot', state: snapshot(more) }, NOW_S);

const after = (state: State, ...events: GatewayEvent[]): State =>
  apply(state, { type: 'events', events }, NOW_S);

const states = (state: State): string[] =>
  (find(state, 'score')?.replicas ?? []).map((one: Replica) => `${one.id} ${one.state}`);

test('a snapshot gives functions with their replicas and revisions, in order', () => {
  const state = started({
    functions: [view('score'), view('clean')],
    replicas: [replica('b', 'ready', { startedAt: 2 }), replica('a', 'busy', { startedAt: 1 })],
    revisions: [brief(1), brief(2), brief(1, { function: 'clean' })]
  });
  assert.deepEqual([...state.functions.keys()], ['default/clean', 'default/score']);
  assert.deepEqual(states(state), ['a busy', 'b ready']);
  assert.deepEqual(find(state, 'score')?.revisions.map(one => one.number), [2, 1]);
  assert.equal(find(state, 'clean')?.revisions.length, 1);
});

test('a replica keeps its place while its state changes', () => {
  const begun = started({ replicas: [replica('a', 'ready'), replica('b', 'ready')] });
  assert.deepEqual(states(after(begun, event(11, 'replica', replica('a', 'busy')))), [
    'a busy',
    'b ready'
  ]);
});

test('only the function an event is about becomes another value', () => {
  const begun = started({ functions: [view('score'), view('clean')] });
  const state = after(begun, event(11, 'counts', { ...COUNTS, inFlight: 3 }));
  assert.equal(find(state, 'score')?.view.counts.inFlight, 3);
  assert.equal(find(state, 'clean'), find(begun, 'clean'));
});

test('events that the snapshot holds already change nothing', () => {
  const begun = started();
  assert.equal(find(after(begun, event(10, 'counts', { ...COUNTS, queued: 9 })), 'score'), find(begun, 'score'));
});

test('events before the first snapshot are passed over', () => {
  assert.equal(after(EMPTY, event(1, 'function', view('score'))), EMPTY);
});

test('kinds that are not known are passed over, and counted as read', () => {
  const begun = started();
  const state = after(begun, event(12, 'weather', { sun: true }));
  assert.equal(find(state, 'score'), find(begun, 'score'));
  assert.equal(state.seq, 12);
});

test('a deleted function is gone, and its last replicas do not bring it back', () => {
  const begun = started({ replicas: [replica('a', 'ready')] });
  const state = after(
    begun,
    event(11, 'deleted', {}),
    event(12, 'replica', replica('a', 'draining')),
    event(13, 'replica', replica('a', 'lost'))
  );
  assert.equal(state.functions.size, 0);
});

test('a function that somebody else deploys shows up, its replica told before it', () => {
  const begun = started({ functions: [], revisions: [] });
  const state = after(
    begun,
    event(11, 'replica', replica('a', 'starting')),
    event(12, 'revision', brief(1, { state: 'pending' })),
    event(13, 'function', view('score', { state: 'pending', traffic: {} }))
  );
  assert.deepEqual(states(state), ['a starting']);
  assert.equal(find(state, 'score')?.view.state, 'pending');
});

test('a revision is enough to show its function as pending', () => {
  const state = after(started({ functions: [] }), event(11, 'revision', brief(1, { state: 'pending' })));
  assert.equal(find(state, 'score')?.view.state, 'pending');
});

test('a removed revision is gone', () => {
  const begun = started({ revisions: [brief(1), brief(2)] });
  const state = after(begun, event(11, 'revision', brief(1, { state: 'removed' })));
  assert.deepEqual(find(state, 'score')?.revisions.map(one => one.number), [2]);
});

test('a lost replica stays ten seconds, then it is gone', () => {
  const begun = started({ replicas: [replica('a', 'busy')] });
  const state = after(begun, event(11, 'replica', replica('a', 'lost', { reason: 'killed' })));
  assert.deepEqual(states(pruned(state, NOW_S + 9)), ['a lost']);
  assert.deepEqual(states(pruned(state, NOW_S + 10)), []);
  assert.equal(pruned(begun, NOW_S + 99), begun);
});

test('a replica that was asked to end is gone when it has ended', () => {
  const begun = started({ replicas: [replica('a', 'draining')] });
  assert.deepEqual(states(after(begun, event(11, 'replica', replica('a', 'lost')))), []);
});

test('another gateway process: everything anew, what had been drawn and called stays', () => {
  const begun = apply(
    after(started(), event(11, 'call', call('x'))),
    { type: 'log', function: 'score', lines: [piece(1, 'old\n')] },
    NOW_S
  );
  const state = apply(
    begun,
    { type: 'snapshot', state: snapshot({ epoch: 'e2', seq: 1, replicas: [replica('z', 'ready')] }) },
    NOW_S
  );
  assert.equal(state.seq, 1);
  assert.deepEqual(states(state), ['z ready']);
  assert.equal(find(state, 'score')?.calls.length, 1);
  assert.equal(find(state, 'score')?.log.length, 0);
  assert.deepEqual(states(after(state, event(2, 'replica', replica('z', 'busy')))), ['z busy']);
});

test('a snapshot of the same process keeps the log', () => {
  const begun = apply(started(), { type: 'log', function: 'score', lines: [piece(1, 'a\n')] }, NOW_S);
  const state = apply(begun, { type: 'snapshot', state: snapshot({ seq: 20 }) }, NOW_S);
  assert.equal(find(state, 'score')?.log.length, 1);
});

test('calls come newest first, each once', () => {
  const state = after(
    started(),
    event(11, 'call', call('a', { startedAt: 1 })),
    event(12, 'call', call('b', { startedAt: 2 })),
    event(13, 'call', call('a', { startedAt: 1 }))
  );
  assert.deepEqual(find(state, 'score')?.calls.map(one => one.id), ['b', 'a']);
});

test('the gateway clock is told apart from this one: by the event that came quickest', () => {
  const begun = started();
  const late = { at: NOW_S - 100 };
  const quick = { at: NOW_S - 60 };
  const state = after(begun, event(11, 'counts', COUNTS, late), event(12, 'counts', COUNTS, quick));
  assert.equal(state.skewS, 60);
});

test('load and replicas are recorded as they change', () => {
  const at = (state: State, nowS: number, value: GatewayEvent): State =>
    apply(state, { type: 'events', events: [value] }, nowS);
  const loaded = at(started(), NOW_S + 2, event(11, 'counts', { ...COUNTS, inFlight: 2 }));
  const state = at(loaded, NOW_S + 4, event(12, 'replica', replica('a', 'busy')));
  const points = find(state, 'score')?.history.map(one => [one.at - NOW_S, one.last.inFlight, one.last.replicas]);
  assert.deepEqual(points, [[0, 0, 0], [2, 2, 0], [4, 2, 1]]);
});

test('a replica that was asked to end is gone, also if nobody told that it drained', () => {
  const begun = started({ replicas: [replica('a', 'busy'), replica('b', 'busy')] });
  const lost = (id: string, reason: string) => event(11, 'replica', replica(id, 'lost', { reason }));
  assert.deepEqual(states(after(begun, lost('a', 'stopped'))), ['b busy']);
  assert.deepEqual(states(after(begun, lost('a', 'out of memory'))), ['a lost', 'b busy']);
});
