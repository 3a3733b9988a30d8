import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import { isMoving, record, steps, WINDOW_S, type History, type Load } from '../../src/model/history';

const load = (inFlight: number, replicas = 0): Load => ({ inFlight, queued: 0, replicas });

const recorded = (...points: [number, number][]): History =>
  points.reduce<History>((history, [at, inFlight]) => record(history, at, load(inFlight)), []);

test('nothing known gives no line', () => {
  assert.deepEqual(steps([], 'inFlight', 1000), []);
});

test('a peak within a second is seen, and what it came to', () => {
  const history = recorded([10, 2], [10.3, 9], [10.6, 1]);
  assert.equal(history.length, 1);
  assert.deepEqual(steps(history, 'inFlight', 310), [[0, 1], [WINDOW_S, 1]]);
  assert.deepEqual(steps(history, 'inFlight', 210), [[100, 9], [101, 1], [WINDOW_S, 1]]);
});

test('what is the same as before is not recorded again', () => {
  const history = recorded([10, 1]);
  assert.equal(record(history, 20, load(1)), history);
});

test('a line begins with what was before the window and goes on to its end', () => {
  const history = recorded([0, 5], [100, 7], [600, 1]);
  assert.deepEqual(steps(history, 'inFlight', 700), [[0, 7], [200, 1], [WINDOW_S, 1]]);
});

test('a line of which only the end is known begins there', () => {
  assert.deepEqual(steps(recorded([990, 2]), 'inFlight', 1000), [[290, 2], [300, 2]]);
});

test('points that cannot be seen any more are dropped', () => {
  let history: History = [];
  for (let at = 0; at < 2000; at++) history = record(history, at, load(at % 2));
  assert.ok(history.length <= WINDOW_S + 2, String(history.length));
});

test('a clock that was put back does no harm', () => {
  const history = recorded([100, 1], [50, 2], [60, 3]);
  assert.deepEqual(steps(history, 'inFlight', 101).at(-1), [WINDOW_S, 3]);
});

test('a line moves only while something has changed within the window', () => {
  assert.equal(isMoving(recorded([10, 1]), 11), false);
  const history = recorded([10, 1], [20, 2]);
  assert.equal(isMoving(history, 30), true);
  assert.equal(isMoving(history, 400), false);
});
