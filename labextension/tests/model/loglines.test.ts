import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import { added, invocationsOf, linesOf, MAX_PIECES } from '../../src/model/loglines';
import type { LogPiece } from '../../src/model/types';
import { piece } from '../example';

const texts = (pieces: LogPiece[], invocation = ''): string[] =>
  linesOf(pieces, invocation).map(line => line.text);

test('a piece of several lines and a line of several pieces', () => {
  assert.deepEqual(texts([piece(1, 'a\nb'), piece(2, 'c\n'), piece(3, 'd')]), ['a', 'bc', 'd']);
});

test('a line end of its own ends the open line, an empty line stays', () => {
  assert.deepEqual(texts([piece(1, 'a'), piece(2, '\n'), piece(3, '\nb\n')]), ['a', '', 'b']);
});

test('lines of two invocations that write at once are kept apart', () => {
  const other = { invocation: '9c' };
  const pieces = [piece(1, 'one '), piece(2, 'two ', other), piece(3, 'done\n'), piece(4, 'too\n', other)];
  assert.deepEqual(texts(pieces), ['one done', 'two too']);
  assert.deepEqual(texts(pieces, '9c'), ['two too']);
  assert.deepEqual(invocationsOf(pieces), ['9c', '7f3a']);
});

test('a carriage return begins the line anew', () => {
  assert.deepEqual(texts([piece(1, '10 %\r20 %'), piece(2, '\r30 %\n')]), ['30 %']);
  assert.deepEqual(texts([piece(1, '10 %\r'), piece(2, '20 %\r'), piece(3, '30 %\n')]), ['30 %']);
  assert.deepEqual(texts([piece(1, 'half\r')]), ['half']);
  assert.deepEqual(texts([piece(1, 'windows\r\nlines\r\n')]), ['windows', 'lines']);
});

test('a line keeps its key while it grows', () => {
  const before = linesOf([piece(1, 'a')])[0]?.key;
  assert.equal(linesOf([piece(1, 'a'), piece(2, 'b\n')])[0]?.key, before);
});

test('what is told again is passed over, and old pieces are dropped', () => {
  const log = [piece(1, 'a'), piece(2, 'b')];
  assert.equal(added(log, [piece(2, 'b')]), log);
  const many = Array.from({ length: MAX_PIECES + 5 }, (_, index) => piece(index + 1, 'x\n'));
  assert.equal(added([], many).length, MAX_PIECES);
});
