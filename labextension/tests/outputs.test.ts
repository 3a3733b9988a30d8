import assert from 'node:assert/strict';
import { test } from 'node:test';
import { displayIdOf, isSame } from '../src/outputs/ours';

test('an output of ours is known by its metadata', () => {
  assert.equal(displayIdOf({ 'jupyter-faas': { display_id: 'faas-late-1' } }), 'faas-late-1');
  for (const other of [undefined, null, 3, {}, { 'jupyter-faas': 'x' }, { 'jupyter-faas': { display_id: 4 } }]) {
    assert.equal(displayIdOf(other), '');
  }
});

test('what is written already is not written again', () => {
  assert.ok(isSame({ 'text/plain': 'a' }, { 'text/plain': 'a' }));
  assert.ok(!isSame({ 'text/plain': 'a' }, { 'text/plain': 'b' }));
});
