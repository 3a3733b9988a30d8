import assert from 'node:assert/strict';
import { test } from 'node:test';
import { filtered, gatewayLine, rowOf } from '../../src/components/side/row';
import { statusText } from '../../src/components/side/statusText';
import { deploymentsOf } from '../../src/marks/deployments';
import { apply, EMPTY, find, type State } from '../../src/model/state';
import type { GatewayStatus, Snapshot } from '../../src/model/types';
import { brief, COUNTS, NOW_S, replica, snapshot, view } from '../example';

const LIVE: GatewayStatus = {
  state: 'live',
  provider: 'local',
  url: 'http://127.0.0.1:9000',
  version: '0.1.0',
  reason: ''
};

function stateOf(more: Partial<Snapshot>, gateway = LIVE): State {
  const told = apply(EMPTY, { type: 'gateway', gateway }, NOW_S);
  return apply(told, { type: 'snapshot', state: snapshot({ revisions: [], ...more }) }, NOW_S);
}

const rowFor = (more: Partial<Snapshot>) => rowOf(find(stateOf(more), 'score')!);
const belongs = { function: 'score', namespace: 'default' };

test('a line tells replicas, load and revision, also to those who hear it', () => {
  const row = rowFor({
    functions: [view('score', { traffic: { '3': 10, '4': 90 }, counts: { ...COUNTS, inFlight: 14, queued: 2 } })],
    replicas: [replica('a', 'busy', belongs), replica('b', 'ready', belongs)]
  });
  assert.deepEqual([row.word, row.inFlight, row.revision], ['', '14 ⇡', 'r4']);
  assert.equal(row.label, 'score, 2 replicas: 1 busy, 1 ready, 14 in flight, 2 queued, revision 4');
});

test('a function without replicas is asleep', () => {
  const row = rowFor({ functions: [view('score')], replicas: [] });
  assert.deepEqual([row.word, row.inFlight], ['asleep', '–']);
  assert.equal(row.label, 'score, asleep, revision 1');
});

test('a function that failed says why', () => {
  const failed = view('score', { state: 'failed', reason: 'image not found', traffic: {} });
  const row = rowFor({ functions: [failed], replicas: [] });
  assert.deepEqual([row.word, row.isFailed], ['✕ image not found', true]);
  assert.equal(row.label, 'score, image not found, revision 1');
});

test('a function on its way is starting', () => {
  const pending = view('score', { state: 'pending', traffic: {} });
  assert.equal(rowFor({ functions: [pending], replicas: [] }).word, '◌ starting');
});

test('the filter takes any part of a name, in any case', () => {
  const state = stateOf({ functions: [view('score'), view('clean-text')], replicas: [] });
  const names = (typed: string) => filtered(state, typed).map(one => one.view.name);
  assert.deepEqual(names(' TEXT '), ['clean-text']);
  assert.deepEqual(names(''), ['clean-text', 'score']);
});

test('every state of the gateway has its line and its words in the status bar', () => {
  const lines = (['live', 'asleep', 'none', 'connecting', 'reconnecting'] as const).map(state => {
    const shown = stateOf({ functions: [view('score')], replicas: [] }, { ...LIVE, state });
    return [gatewayLine(shown), statusText(shown).text];
  });
  assert.deepEqual(lines, [
    ['⟳ live · local gateway', 'λ local · 1 function, 0 replicas'],
    ['◌ asleep · local gateway: it wakes with the next call', 'λ asleep · 1 function, 0 replicas'],
    ['None running: it starts with the first call.', 'λ none running'],
    ['◌ connecting', 'λ connecting · 1 function, 0 replicas'],
    ['◌ reconnecting · local gateway', 'λ reconnecting · 1 function, 0 replicas']
  ]);
});

test('marks get where each revision came from, and which one serves', () => {
  const state = stateOf({
    functions: [view('score', { traffic: { '1': 90, '2': 10 } })],
    replicas: [],
    revisions: [brief(1, belongs), brief(2, { ...belongs, state: 'failed', reason: 'no' })]
  });
  const [one] = deploymentsOf(state, new Map([['score', ['threshold']]]));
  assert.deepEqual([one?.live, one?.olderValues], [1, ['threshold']]);
  assert.deepEqual(one?.sources.map(source => [source.number, source.state]), [[2, 'failed'], [1, 'ready']]);
});
