import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import { moved, percents } from '../../src/model/traffic';

test('weights become whole per cents that are 100 together', () => {
  assert.deepEqual(percents({ '1': 1, '2': 1, '3': 1 }), { '1': 34, '2': 33, '3': 33 });
  assert.deepEqual(percents({ '1': 9, '2': 1, '3': 0 }), { '1': 90, '2': 10 });
  assert.deepEqual(percents({}), {});
});

test('moving one slider takes from the others in proportion', () => {
  assert.deepEqual(moved({ '4': 100 }, '3', 10), { '4': 90, '3': 10 });
  assert.deepEqual(moved({ '1': 60, '2': 20, '3': 20 }, '3', 60), { '1': 30, '2': 10, '3': 60 });
});

test('the only revision with traffic keeps it', () => {
  assert.deepEqual(moved({ '4': 100 }, '4', 30), { '4': 100 });
});

test('a slider at the end leaves nothing for the others, and never more than there is', () => {
  assert.deepEqual(moved({ '4': 90, '3': 10 }, '3', 100), { '3': 100 });
  assert.deepEqual(moved({ '4': 90, '3': 10 }, '3', 0), { '4': 100 });
});

test('whatever is moved, the shares are 100 together', () => {
  for (let percent = -3; percent <= 103; percent++) {
    for (const shares of [{ '1': 34, '2': 33, '3': 33 }, { '1': 1, '2': 99 }, { '9': 100 }]) {
      for (const number of ['1', '2', '3', '9']) {
        const after = moved(shares, number, percent);
        const sum = Object.values(after).reduce((total, share) => total + share, 0);
        assert.equal(sum, 100, JSON.stringify({ shares, number, percent, after }));
      }
    }
  }
});
