import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isBody } from '../../src/invoke/body';
import { bodyFor, codeOf, fieldsFor } from '../../src/invoke/code';
import { revision } from '../example';

test('a form is made of the revision that the gateway tells', () => {
  const code = codeOf(revision(1))!;
  assert.deepEqual(fieldsFor(code).map(field => field.name), ['text']);
  assert.equal(codeOf({}), null);
  assert.equal(codeOf(null), null);
});

test('the arguments of a method are written as JSON', () => {
  const code = { signature: '()', parameters: [], methods: ['predict'] };
  const body = (text: string) => {
    const made = bodyFor(code, fieldsFor(code), new Map([['arguments', text]]));
    return isBody(made) ? made.text : [...made.byField.values()].join();
  };
  assert.equal(body('{"x": 1}'), '{"x": 1}');
  assert.equal(body(' '), '{}');
  assert.match(body('x'), /is expected/);
  assert.match(body('3'), /is expected/);
});
