/**
 * From what is written in a form to the body of a call, or to sentences about what is wrong. Pure.
 *
 * An object is keyword arguments and an array positional ones (HTTP API). Fields that still hold
 * their default are left out: the function's own default applies, also one that JSON cannot say.
 */

import type { Field } from './fields';
import { literalToJson, numberToJson } from './literal';

/** What is written in each field; one that is not named holds its initial text. */
export type Texts = ReadonlyMap<string, string>;

export interface Body {
  /** What is sent. */
  text: string;
  contentType: string;
}

export interface Faults {
  /** A sentence by the name of the field it is about. */
  byField: ReadonlyMap<string, string>;
}

/** Return the body for what is written in the fields, or what is wrong with it. */
export function bodyOf(fields: readonly Field[], texts: Texts): Body | Faults {
  const only = fields.length === 1 ? fields[0] : undefined;
  if (only?.type === 'bytes') {
    return { text: textOf(only, texts), contentType: 'application/octet-stream' };
  }
  const given = new Map<string, string>();
  const faults = new Map<string, string>();
  for (const field of fields) {
    const read = readField(field, textOf(field, texts));
    if (read.fault !== undefined) {
      faults.set(field.name, read.fault);
    } else if (read.json !== undefined) {
      given.set(field.name, read.json);
    }
  }
  if (faults.size > 0) return { byField: faults };
  return needsPositions(fields, given) ? positional(fields, given) : named(fields, given);
}

/** Whether a body came out. */
export function isBody(made: Body | Faults): made is Body {
  return 'contentType' in made;
}

/** Neither: the field is left out. */
interface Read {
  json?: string;
  fault?: string;
}

function readField(field: Field, text: string): Read {
  const isUntouched = text === field.initial;
  if (isUntouched && !field.isRequired) {
    return {};
  }
  if (text.trim() === '' && field.type !== 'str') {
    return emptied(field);
  }
  if (text === '' && field.isNullable) {
    return { json: 'null' };
  }
  return READERS[field.type](text, field);
}

function emptied(field: Field): Read {
  if (field.isNullable) {
    return { json: 'null' };
  }
  return field.isRequired ? { fault: `${field.name} is needed.` } : {};
}

const READERS: Record<Field['type'], (text: string, field: Field) => Read> = {
  int: text =>
    /^\s*[+-]?\d[\d_]*\s*$/.test(text)
      ? { json: numberToJson(text.trim()) }
      : { fault: 'A whole number is expected, like 12.' },
  float: readFloat,
  bool: text =>
    text === 'true' || text === 'false' ? { json: text } : { fault: 'True or False is expected.' },
  str: text => ({ json: JSON.stringify(text) }),
  bytes: () => ({
    fault: 'JSON has no bytes: call it from Python, or make bytes its only parameter.'
  }),
  choice: (text, field) =>
    field.choices.includes(text) ? { json: text } : { fault: 'One of the choices is expected.' },
  list: text => readJson(text, 'A list is expected, like [1, 2].', value => Array.isArray(value)),
  dict: text => readJson(text, 'An object is expected, like {"a": 1}.', isObject),
  json: text => readJson(text, '', () => true)
};

function readFloat(text: string): Read {
  const trimmed = text.trim();
  if (/^[+-]?(nan|inf(inity)?)$/i.test(trimmed)) {
    return { fault: `JSON has no ${trimmed}: call it from Python.` };
  }
  const isNumber = /^[+-]?(\d[\d_]*\.?\d*|\.\d+)([eE][+-]?\d+)?$/.test(trimmed);
  return isNumber ? { json: numberToJson(trimmed) } : { fault: 'A number is expected, like 0.5.' };
}

function readJson(text: string, expected: string, fits: (value: unknown) => boolean): Read {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return { fault: expected || 'This is no JSON. Text goes in double quotes: "abc".' };
  }
  return fits(value) ? { json: text.trim() } : { fault: expected };
}

function isObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function textOf(field: Field, texts: Texts): string {
  return texts.get(field.name) ?? field.initial;
}

function needsPositions(fields: readonly Field[], given: ReadonlyMap<string, string>): boolean {
  return fields.some(
    field =>
      given.has(field.name) &&
      (field.kind === 'positional_only' ||
        (field.kind === 'var_positional' && !isEmptyJson(given.get(field.name))))
  );
}

function isEmptyJson(json: string | undefined): boolean {
  return json === undefined || /^[[{]\s*[\]}]$/.test(json);
}

function named(fields: readonly Field[], given: ReadonlyMap<string, string>): Body {
  const entries = fields.flatMap(field => {
    const json = given.get(field.name);
    if (json === undefined || field.kind === 'var_positional') {
      return [];
    }
    if (field.kind === 'var_keyword') {
      return isEmptyJson(json) ? [] : [json.slice(1, -1).trim()];
    }
    return [`${JSON.stringify(field.name)}: ${json}`];
  });
  return { text: `{${entries.join(', ')}}`, contentType: 'application/json' };
}

/** Arguments in order: JSON over HTTP has no way to send some by position and some by name. */
function positional(fields: readonly Field[], given: ReadonlyMap<string, string>): Body | Faults {
  const items: string[] = [];
  let leftOut: Field[] = [];
  for (const field of fields) {
    const json = given.get(field.name);
    if (json === undefined || (isVariable(field) && isEmptyJson(json))) {
      leftOut.push(...(isVariable(field) ? [] : [field]));
      continue;
    }
    if (field.kind === 'keyword_only' || field.kind === 'var_keyword') {
      return fault(field, 'JSON cannot send this by name and others by position: call it from Python.');
    }
    const filled = leftOut.map(one => literalToJson(one.default));
    const unfilled = leftOut[filled.indexOf(null)];
    if (unfilled) return fault(unfilled, `${field.name} comes after it: write a value here too.`);
    items.push(...(filled as string[]), isVariable(field) ? json.slice(1, -1).trim() : json);
    leftOut = [];
  }
  return { text: `[${items.join(', ')}]`, contentType: 'application/json' };
}

function isVariable(field: Field): boolean {
  return field.kind.startsWith('var_');
}

function fault(field: Field, sentence: string): Faults {
  return { byField: new Map([[field.name, sentence]]) };
}
