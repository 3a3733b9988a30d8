/**
 * From a signature to the fields of a form. Pure.
 *
 * What the gateway tells of a parameter is text: its type hint as written, its default as `repr`.
 */

import type { Parameter } from '../model/types';
import { literalsToJson, literalToJson } from './literal';

export type FieldType = 'int' | 'float' | 'bool' | 'str' | 'bytes' | 'list' | 'dict' | 'choice' | 'json';

export interface Field {
  name: string;
  /** As `inspect.Parameter.kind` has it, in lower case. */
  kind: string;
  type: FieldType;
  /** Of `choice`: JSON text of each. */
  choices: readonly string[];
  /** `None` is allowed, and is what an empty field means. */
  isNullable: boolean;
  /** An argument is needed. */
  isRequired: boolean;
  /** The hint, for people; empty: there is none. */
  hint: string;
  /** The default's `repr`; empty: there is none. */
  default: string;
  /** What the field holds at first: the default, if it can be written in it. */
  initial: string;
}

/** Return the fields for a function's parameters. */
export function fieldsOf(parameters: readonly Parameter[]): Field[] {
  return parameters.map(fieldOf);
}

function fieldOf(parameter: Parameter): Field {
  const hint = unquoted(parameter.annotation ?? '').replaceAll('__main__.', '');
  const { type, choices, isNullable } = typed(parameter, hint);
  const isVariable = parameter.kind.startsWith('var_');
  const field = {
    name: parameter.name,
    kind: parameter.kind,
    type,
    choices,
    isNullable,
    isRequired: (parameter.default ?? null) === null && !isVariable,
    hint,
    default: (parameter.default ?? '').replace(/^<([\w.]+): .*>$/s, '$1')
  };
  return { ...field, initial: initialOf(field) };
}

interface Typed {
  type: FieldType;
  choices: readonly string[];
  isNullable: boolean;
}

const PLAIN = new Map<string, FieldType>([
  ['int', 'int'],
  ['float', 'float'],
  ['bool', 'bool'],
  ['str', 'str'],
  ['bytes', 'bytes'],
  ['bytearray', 'bytes']
]);
const LISTS = new Set(['list', 'List', 'tuple', 'Tuple', 'set', 'Set', 'frozenset', 'Sequence', 'Iterable', 'Collection']);
const DICTS = new Set(['dict', 'Dict', 'Mapping', 'MutableMapping', 'TypedDict']);

function typed({ kind, choices = [] }: Parameter, hint: string): Typed {
  const plain = { choices: [], isNullable: false };
  if (choices.length > 0) return { type: 'choice', choices, isNullable: withoutNone(hint).isNullable };
  if (kind === 'var_positional') {
    return { ...plain, type: 'list' };
  }
  return kind === 'var_keyword' ? { ...plain, type: 'dict' } : typedHint(hint);
}

function typedHint(hint: string): Typed {
  const { wanted, isNullable } = withoutNone(hint);
  const [only, ...others] = wanted;
  if (only === undefined || others.length > 0) return { type: 'json', choices: [], isNullable };
  const { name, content } = split(only);
  if (name === 'Literal') {
    const choices = literalsToJson(content);
    return choices ? { type: 'choice', choices, isNullable } : { type: 'json', choices: [], isNullable };
  }
  if (name === 'Annotated') {
    const inner = typedHint(parts(content, ',')[0] ?? '');
    return { ...inner, isNullable: isNullable || inner.isNullable };
  }
  return { type: typeNamed(name), choices: [], isNullable };
}

function typeNamed(name: string): FieldType {
  if (LISTS.has(name)) return 'list';
  return DICTS.has(name) ? 'dict' : (PLAIN.get(name) ?? 'json');
}

/** The members of a union, `None` taken out. */
function withoutNone(hint: string): { wanted: string[]; isNullable: boolean } {
  const members = unionOf(hint.trim());
  const wanted = members.filter(one => one !== 'None' && one !== 'NoneType');
  return { wanted, isNullable: wanted.length < members.length };
}

function unionOf(hint: string): string[] {
  const { name, content } = split(hint);
  if (name === 'Optional') {
    return [...unionOf(content), 'None'];
  }
  if (name === 'Union') {
    return parts(content, ',').flatMap(unionOf);
  }
  const members = parts(hint, '|');
  return members.length > 1 ? members.flatMap(unionOf) : members;
}

/** `typing.List[int]` → `List` and `int`. */
function split(hint: string): { name: string; content: string } {
  const found = /^([\w.]+)(?:\[(.*)\])?$/s.exec(hint.trim());
  return { name: found?.[1]?.split('.').pop() ?? '', content: found?.[2]?.trim() ?? '' };
}

/** Text divided at a letter that stands outside brackets and quotes. */
function parts(text: string, separator: string): string[] {
  const found = [''];
  let depth = 0;
  for (const token of text.match(QUOTED_OR_LETTER) ?? []) {
    if ('[({'.includes(token)) depth++;
    if ('])}'.includes(token)) depth--;
    const isEnd = token === separator && depth === 0;
    found.push(isEnd ? '' : (found.pop() ?? '') + token);
  }
  return found.map(part => part.trim()).filter(part => part !== '');
}

const QUOTED_OR_LETTER = /'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|./gs;

/** Under `from __future__ import annotations` a hint is the `repr` of its text. */
function unquoted(annotation: string): string {
  const found = /^(['"])(.*)\1$/s.exec(annotation)?.[2];
  return found?.replace(/\\(['"\\])/g, '$1') ?? annotation;
}

function initialOf(field: Omit<Field, 'initial'>): string {
  const json = field.default === '' ? null : literalToJson(field.default);
  if (json === null || (json === 'null' && field.type !== 'json')) {
    return '';
  }
  switch (field.type) {
    case 'str':
      return json.startsWith('"') ? (JSON.parse(json) as string) : '';
    case 'choice':
      return field.choices.includes(json) ? json : '';
    default:
      return json;
  }
}
