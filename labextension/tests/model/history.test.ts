import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import { isMoving, record, steps, WINDOW_S, type History, type Point } from '../../src/model/history';

const point = (at: number, inFlight: number, replicas = 0): Point => ({
  at,
  inFlight,
  queued: 0,
  replicas
});

const recorded = (...points: Point[]): History => points.reduce<History>(record, []);

test('nothing known gives no line', () => {
  assert.deepEqual(steps([], 'inFlight', 1000), []);
});

test('a peak within a second stays, of replicas the newest number', () => {
  assert.deepEqual(recorded(point(10, 9, 1), point(10.5, 0, 2)), [point(10, 9, 2)]);
});

test('what is the same as before is not recorded again', () => {
  const history = recorded(point(10, 1));
  assert.equal(record(history, point(20, 1)), history);
});

test('a line begins with what was before the window and goes on to its end', () => {
  const history = recorded(point(0, 5), point(100, 7), point(600, 1));
  assert.deepEqual(steps(history, 'inFlight', 700), [
    [0, 7],
    [200, 1],
    [WINDOW_S, 1]
  ]);
});

test('a line of which only the end is known begins there', () => {
  assert.deepEqual(steps(recorded(point(990, 2)), 'inFlight', 1000), [
    [290, 2],
    [300, 2]
  ]);
});

test('points that cannot be seen any more are dropped', () => {
  let history: History = [];
  for (let at = 0; at < 2000; at++) history = record(history, point(at, at % 2));
  assert.ok(history.length <= WINDOW_S + 2, String(history.length));
});

test('a line moves only while something has changed within the window', () => {
  assert.equal(isMoving(recorded(point(10, 1)), 11), false);
  const history = recorded(point(10, 1), point(20, 2));
  assert.equal(isMoving(history, 30), true);
  assert.equal(isMoving(history, 400), false);
});
