import assert from 'node:assert/strict';
import { test } from 'node:test';
import { literalsToJson, literalToJson } from '../../src/invoke/literal';

const cases: [string, string | null][] = [
  ['None', 'null'],
  ['True', 'true'],
  ['12345678901234567890', '12345678901234567890'],
  ['1_000', '1000'],
  ['+1', '1'],
  ['-0.5', '-0.5'],
  ['.5', '0.5'],
  ['1.', '1.0'],
  ['1e-05', '1e-05'],
  ["'it\\'s'", '"it\'s"'],
  ['"a\\n\\x41\\u00e9\\U0001f389"', '"a\\nAé🎉"'],
  ['(1, 2)', '[1, 2]'],
  ['(1,)', '[1]'],
  ['[]', '[]'],
  ["{'a': [1, None]}", '{"a": [1, null]}'],
  ['{1: 2}', null],
  ["{'a', 'b'}", null],
  ['nan', null],
  ["b'x'", null],
  ['<object object at 0x7f>', null],
  ["'cut off…", null],
  ['1 2', null],
  ['', null]
];

for (const [python, json] of cases) {
  test(`${python || 'nothing'} is ${json ?? 'no JSON'}`, () => {
    assert.equal(literalToJson(python), json);
    if (json !== null) JSON.parse(json);
  });
}

test('choices are read one by one', () => {
  assert.deepEqual(literalsToJson(`'a', "b,]", 1, None`), ['"a"', '"b,]"', '1', 'null']);
  assert.equal(literalsToJson('Color.RED'), null);
  assert.equal(literalsToJson(''), null);
});
