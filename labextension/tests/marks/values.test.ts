import assert from 'node:assert/strict';
import { test } from 'node:test';
import { olderValuesOf } from '../../src/marks/values';

const told = (data: unknown) => olderValuesOf('comm_msg', { comm_id: 'jupyter-faas-values', data });

test('a kernel tells which functions run older values, and that none does any more', () => {
  const older = told({ older: { score: ['threshold', 'rows'], clean: [] } });
  assert.deepEqual([...(older ?? [])], [['score', ['threshold', 'rows']]]);
  assert.equal(told({ older: {} })?.size, 0);
});

test('messages about something else, and what makes no sense, are passed over', () => {
  assert.equal(olderValuesOf('stream', { comm_id: 'jupyter-faas-values', data: { older: {} } }), null);
  assert.equal(olderValuesOf('comm_msg', { comm_id: 'another', data: { older: {} } }), null);
  for (const data of [null, 'text', {}, { older: 'all' }]) assert.equal(told(data), null);
  assert.equal(told({ older: { score: [1, null] } })?.size, 0);
});
