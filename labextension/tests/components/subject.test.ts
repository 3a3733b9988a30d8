import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import { subjectOf } from '../../src/components/subject';

test('an output says whose panel it is; whatever else it says does no harm', () => {
  const score = { version: 1, function: 'score', namespace: 'lab' };
  assert.deepEqual(subjectOf(score), { name: 'score', namespace: 'lab' });
  for (const odd of [null, 7, 'score', [], { function: null }, { function: { a: 1 }, namespace: '' }]) {
    assert.deepEqual(subjectOf(odd), { name: null, namespace: undefined });
  }
});
