import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import * as format from '../../src/model/format';

test('durations, as the Python side says them', () => {
  const said = [-1, 0.038, 2.44, 59.9, 180, 5399, 7200].map(format.duration);
  assert.deepEqual(said, ['0 ms', '38 ms', '2.4 s', '59.9 s', '3 min', '90 min', '2.0 h']);
});

test('milliseconds with a digit where it matters', () => {
  const said = [null, 0, 8.13, 22.4, 1500].map(format.milliseconds);
  assert.deepEqual(said, ['–', '0 ms', '8.1 ms', '22 ms', '1.5 s']);
});

test('how long ago, as the Python side says it', () => {
  const said = [0, 1, 12, 200, 90_000, 300_000].map(seconds => format.ago(1e9, 1e9 + seconds));
  assert.deepEqual(said, ['now', 'now', '12 s ago', '3 min ago', 'yesterday', '3 days ago']);
  assert.equal(format.ago(0, 1e9), '–');
});

test('the exact time has milliseconds', () => {
  const at = new Date(2026, 10, 26, 10, 42, 7, 120).getTime() / 1000;
  assert.equal(format.exact(at), '2026-11-26 10:42:07.120');
  assert.equal(format.timeOfDay(at), '10:42:07');
  assert.equal(format.exact(0), '');
});

test('days by name where they have one', () => {
  const now = new Date(2026, 10, 26, 12, 0).getTime() / 1000;
  const at = (days: number) => new Date(2026, 10, 26 - days, 10, 31).getTime() / 1000;
  assert.deepEqual([0, 1, 9].map(days => format.day(at(days), now)), [
    'today 10:31',
    'yesterday 10:31',
    '2026-11-17'
  ]);
});

test('sizes, as the Python side says them', () => {
  assert.deepEqual([812, 1234, 3.4e6, 2e9].map(format.size), ['812 B', '1.2 kB', '3.4 MB', '2.0 GB']);
});

test('counts have thin spaces between thousands', () => {
  assert.deepEqual([7, 999, 12_403, 1_000_000].map(format.count), ['7', '999', '12\u202f403', '1\u202f000\u202f000']);
  assert.equal(format.plural(1, 'replica'), '1 replica');
  assert.equal(format.plural(2, 'replica'), '2 replicas');
});

test('memory × time grows from seconds to hours, and is said as Python says it', () => {
  // The same cases as in tests/client/test_displays.py.
  const said = [0, 0.04, 2.5, 42, 3024].map(one => format.memoryTime(one * 1024));
  assert.deepEqual(said, ['0.0 GB·s', '0.04 GB·s', '2.5 GB·s', '42 GB·s', '0.84 GB·h']);
});

test('escape sequences of terminals are left out, all else stays', () => {
  assert.equal(format.plainText('\u001b[31mred\u001b[0m <b> \u001b]0;title\u0007x'), 'red <b> x');
});
