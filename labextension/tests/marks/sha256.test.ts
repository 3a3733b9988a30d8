import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { sha256 } from '../../src/marks/sha256';

const expected = (text: string): string => createHash('sha256').update(text, 'utf8').digest('hex');

test('the digest of a text of any length is the one that Python makes', () => {
  for (let length = 0; length < 200; length++) {
    const text = 'x'.repeat(length);
    assert.equal(sha256(text), expected(text), `${length} letters`);
  }
});

test('letters outside ASCII count as UTF-8', () => {
  for (const text of ['naïve = "é"', '変数 = 1', 'print("🎉")', '\u0000\r\n\t']) {
    assert.equal(sha256(text), expected(text));
  }
});

test('a cell of a megabyte has the right digest', () => {
  const text = 'value = compute(1)\n'.repeat(50_000);
  assert.equal(sha256(text), expected(text));
});
