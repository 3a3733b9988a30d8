import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import { problemOf } from '../../src/connection/transport';

const answer = (status: number, body: unknown) => ({ status, body, headers: {} });

test('an action that was done has no problem', () => {
  assert.equal(problemOf(answer(200, {})), '');
});

test('a refused action gives the sentence of the problem document', () => {
  const body = { code: 'invalid_spec', title: 'Invalid', detail: 'max_containers: at least 1.' };
  assert.equal(problemOf(answer(422, body)), 'max_containers: at least 1.');
});

test('no answer and an answer without words are told apart', () => {
  assert.equal(problemOf(answer(0, null)), 'The server cannot be reached.');
  assert.equal(problemOf(answer(502, '<html>')), 'The gateway answered 502.');
});
