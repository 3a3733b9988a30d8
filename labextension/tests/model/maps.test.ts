import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import { ENDED_S, leftS, mapsOf, MOST_ENDED, shareOf } from '../../src/model/maps';
import { apply, EMPTY, isFleeting, pruned, type State } from '../../src/model/state';
import type { MapView } from '../../src/model/types';
import { event, map, NOW_S, snapshot } from '../example';

const started = (...maps: MapView[]): State =>
  apply(EMPTY, { type: 'snapshot', state: snapshot({ maps }) }, NOW_S);

const after = (state: State, ...told: MapView[]): State =>
  apply(state, { type: 'events', events: told.map((one, index) => event(state.seq + index + 1, 'map', one)) }, NOW_S);

const shown = (state: State): string[] => [...state.maps.values()].map(one => `${one.id} ${one.state} ${one.done}`);

test('a snapshot gives the maps that run, in the order in which they began', () => {
  const state = started(map('b'), map('a', { startedAt: NOW_S - 30 }), map('old', { state: 'done' }));
  assert.deepEqual(shown(state), ['a running 71', 'b running 71']);
});

test('a stored state knows no maps', () => {
  assert.equal(apply(EMPTY, { type: 'snapshot', state: snapshot() }, NOW_S).maps.size, 0);
});

test('events say how a map goes; its end is seen for a while', () => {
  const ended = after(started(map('a')), map('a', { done: 80 }), map('a', { done: 100, state: 'done' }));
  assert.deepEqual(shown(ended), ['a done 100']);
  assert.ok(isFleeting(ended));
  assert.deepEqual(shown(pruned(ended, NOW_S + ENDED_S - 1)), ['a done 100']);
  assert.deepEqual(shown(pruned(ended, NOW_S + ENDED_S)), []);
});

test('a snapshot keeps what was seen to end, and drops what it does not tell of', () => {
  const ended = after(started(map('a'), map('b')), map('a', { state: 'failed' }));
  const told = { type: 'snapshot', state: snapshot({ seq: 20, maps: [map('a', { state: 'failed' })] }) } as const;
  assert.deepEqual(shown(apply(ended, told, NOW_S)), ['a failed 71']);
});

test('a loop of short maps is no flood', () => {
  assert.deepEqual(shown(after(started(), map('quick', { state: 'done' }))), []);
  const names = ['a', 'b', 'c', 'd', 'e'];
  let state = started();
  for (const name of names) state = after(after(state, map(name)), map(name, { state: 'done' }));
  assert.equal(state.maps.size, MOST_ENDED);
});

test('a map whose failed items run again is shown again', () => {
  const ended = after(started(map('a')), map('a', { state: 'done' }));
  const again = after(ended, map('a', { done: 99 }));
  assert.deepEqual(shown(again), ['a running 99']);
  assert.ok(!isFleeting(again));
});

test('a map changes none of the functions, and is found by its function', () => {
  const before = started();
  const state = after(before, map('a'), map('b', { function: 'other' }));
  assert.equal(state.functions.get('default/score'), before.functions.get('default/score'));
  assert.deepEqual(mapsOf(state.maps, 'score', 'default').map(one => one.id), ['a']);
});

test('share and time left, as far as they are known', () => {
  assert.deepEqual([shareOf(map('a')), leftS(map('a'))], [0.71, 2.9]);
  assert.deepEqual([shareOf(map('a', { total: null })), leftS(map('a', { total: null }))], [null, null]);
  assert.deepEqual([shareOf(map('a', { total: 0 })), leftS(map('a', { rate: 0 }))], [1, null]);
  assert.equal(leftS(map('a', { state: 'done' })), null);
});
