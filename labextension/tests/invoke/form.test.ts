import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bodyOf, isBody } from '../../src/invoke/body';
import { fieldsOf, type Field } from '../../src/invoke/fields';
import type { Parameter } from '../../src/model/types';

function parameter(annotation: string, changes: Partial<Parameter> = {}): Parameter {
  return { name: 'x', kind: 'positional_or_keyword', annotation, ...changes };
}

function field(annotation: string, changes: Partial<Parameter> = {}): Field {
  return fieldsOf([parameter(annotation, changes)])[0]!;
}

function sent(parameters: readonly Parameter[], texts: Record<string, string>): string {
  const made = bodyOf(fieldsOf(parameters), new Map(Object.entries(texts)));
  return isBody(made) ? made.text : [...made.byField].map(([name, why]) => `${name}: ${why}`).join(' ');
}

const types: [string, string][] = [
  ['int', 'int'],
  ["'int'", 'int'],
  ['float', 'float'],
  ['bool', 'bool'],
  ['str', 'str'],
  ['bytes', 'bytes'],
  ['list[int]', 'list'],
  ['typing.List[int]', 'list'],
  ['Dict[str, int]', 'dict'],
  ['Optional[int]', 'int'],
  ['int | None', 'int'],
  ['Union[None, str]', 'str'],
  ["Literal['a', 'b']", 'choice'],
  ["Optional[Literal['a|b', 2]]", 'choice'],
  ["Annotated[int, 'up to 3']", 'int'],
  ['int | str', 'json'],
  ['numpy.ndarray', 'json'],
  ['constructor', 'json'],
  ['', 'json'],
  ['list[', 'json']
];

for (const [annotation, type] of types) {
  test(`the hint ${annotation || '(none)'} makes a field of type ${type}`, () => {
    assert.equal(field(annotation).type, type);
  });
}

test('an enumeration is a choice of the values of its members', () => {
  const choices = ['"red"', '2'];
  const one = field('__main__.Colour | None', { choices, default: "<Colour.RED: 'red'>" });
  assert.deepEqual([one.type, one.choices, one.isNullable], ['choice', choices, true]);
  assert.deepEqual([one.hint, one.default], ['Colour | None', 'Colour.RED']);
  assert.equal(sent([parameter('Colour', { choices })], { x: '"red"' }), '{"x": "red"}');
});

test('None is allowed where the hint says so', () => {
  const nullable = ['Optional[int]', 'str | None', "Union[Literal['a'], None]"];
  assert.ok(nullable.every(annotation => field(annotation).isNullable));
  assert.ok(!field('int').isNullable);
});

test('a field begins with the default, if it can be written there', () => {
  const begins = (annotation: string, value: string): string => field(annotation, { default: value }).initial;
  assert.equal(begins('int', '3'), '3');
  assert.equal(begins('str', "'it\\'s'"), "it's");
  assert.equal(begins('dict', "{'a': 1}"), '{"a": 1}');
  assert.equal(begins('bool', 'True'), 'true');
  assert.equal(begins('Optional[int]', 'None'), '');
  assert.equal(begins('', '<object>'), '');
});

const values: [string, string, string][] = [
  ['int', ' 1_000 ', '{"x": 1000}'],
  ['int', '9007199254740993', '{"x": 9007199254740993}'],
  ['int', '1.5', 'x: A whole number is expected, like 12.'],
  ['int', '', 'x: x is needed.'],
  ['float', '1.', '{"x": 1.0}'],
  ['float', 'abc', 'x: A number is expected, like 0.5.'],
  ['float', 'nan', 'x: JSON has no nan: call it from Python.'],
  ['bool', 'false', '{"x": false}'],
  ['str', '', '{"x": ""}'],
  ['str', 'say "hi"', '{"x": "say \\"hi\\""}'],
  ['str | None', '', '{"x": null}'],
  ['int | None', '', '{"x": null}'],
  ['list[int]', '[1, 2]', '{"x": [1, 2]}'],
  ['list[int]', '{"a": 1}', 'x: A list is expected, like [1, 2].'],
  ['dict', '[1]', 'x: An object is expected, like {"a": 1}.'],
  ["Literal['a', 1]", '1', '{"x": 1}'],
  ["Literal['a', 1]", '"c"', 'x: One of the choices is expected.'],
  ['', '12345678901234567890', '{"x": 12345678901234567890}'],
  ['', 'abc', 'x: This is no JSON. Text goes in double quotes: "abc".'],
  ['bytes', 'as it is', 'as it is']
];

for (const [annotation, text, body] of values) {
  test(`${text || 'nothing'} in a field for ${annotation || 'anything'} gives ${body}`, () => {
    assert.equal(sent([parameter(annotation)], { x: text }), body);
  });
}

test('what still holds its default is left out, what was changed is sent', () => {
  const both = [parameter('int', { name: 'a', default: '1' }), parameter('str', { name: 'b', default: "'t'" })];
  assert.equal(sent(both, {}), '{}');
  assert.equal(sent(both, { a: '2', b: '' }), '{"a": 2, "b": ""}');
});

test('an optional field that was emptied is left out, or None', () => {
  assert.equal(sent([parameter('int', { default: '1' })], { x: '' }), '{}');
  assert.equal(sent([parameter('int | None', { default: '1' })], { x: '' }), '{"x": null}');
});

test('any further names are spread into the object', () => {
  const rest: Parameter = { name: 'rest', kind: 'var_keyword' };
  assert.equal(sent([parameter('int'), rest], { x: '1', rest: '{"y": 2}' }), '{"x": 1, "y": 2}');
  assert.equal(sent([parameter('int'), rest], { x: '1' }), '{"x": 1}');
});

test('what has no name goes by position, and defaults before it are filled in', () => {
  const only: Parameter = { name: 'a', kind: 'positional_only', annotation: 'int' };
  const more: Parameter = { name: 'more', kind: 'var_positional' };
  assert.equal(sent([only, parameter('int', { default: '7' }), more], { a: '1', more: '[8, 9]' }), '[1, 7, 8, 9]');
  assert.equal(sent([only, parameter('int', { default: '7' }), more], { a: '1' }), '[1]');
});

test('what JSON cannot say is told at its field', () => {
  const only: Parameter = { name: 'a', kind: 'positional_only', annotation: 'int' };
  const keyword: Parameter = { name: 'k', kind: 'keyword_only', annotation: 'int' };
  const odd = parameter('', { default: '<object>' });
  const more: Parameter = { name: 'more', kind: 'var_positional' };
  assert.match(sent([only, keyword], { a: '1', k: '2' }), /^k: JSON cannot send this by name/);
  assert.match(sent([odd, more], { more: '[1]' }), /^x: more comes after it/);
  assert.match(sent([parameter('bytes'), keyword], { x: 'b', k: '2' }), /^x: JSON has no bytes/);
});

test('every fault is told at once', () => {
  const both = [parameter('int', { name: 'a' }), parameter('int', { name: 'b' })];
  assert.equal(sent(both, { b: 'x' }), 'a: a is needed. b: A whole number is expected, like 12.');
});

test('a parameter may have any name', () => {
  const names = ['__proto__', 'constructor', 'toString'].map(name => parameter('int', { name, default: '1' }));
  assert.equal(sent(names, {}), '{}');
});
