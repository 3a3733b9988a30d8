import assert from 'node:assert/strict';
import { test } from 'node:test';
import { lookupCell, variableOf } from '../../src/invoke/lookup';

test('the cell looks the function up and shows how it is called', () => {
  assert.equal(
    lookupCell('clean-text', '(text: str, limit: int = 3) -> str'),
    'import jupyter_faas as faas\n\n' +
      'clean_text = faas.function("clean-text")\n' +
      '# clean_text.remote(text: str, limit: int = 3) -> str'
  );
});

test('a name that Python does not take gets one that it does', () => {
  assert.deepEqual(['3d-model', 'class', 'score'].map(variableOf), ['_3d_model', 'class_', 'score']);
});

test('nothing in a signature or name gets out of its comment or string', () => {
  const cell = lookupCell('x"); import os; ("', "(a='\nimport os')");
  assert.equal(cell.split('\n').length, 4);
  assert.ok(cell.includes('faas.function("x\\"); import os; (\\"")'));
  assert.ok(lookupCell('f', 'evil\ncode').endsWith('# f.remote(...)'));
});
