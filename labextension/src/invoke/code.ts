/** What a form needs to know of the code of a revision. Pure. */

import type { Parameter, RevisionView } from '../model/types';
import { bodyOf, type Body, type Faults, type Texts } from './body';
import { fieldsOf, type Field } from './fields';

export interface CalledCode {
  readonly signature: string;
  readonly parameters: readonly Parameter[];
  /** Of a class: what can be called; empty: a function. */
  readonly methods: readonly string[];
}

/** Return the code of a revision as the gateway tells it; null: it tells nothing. */
export function codeOf(revision: unknown): CalledCode | null {
  const code = (revision as Partial<RevisionView> | null)?.spec?.code;
  if (code === undefined) return null;
  const methods = Object.keys(code.methods);
  return { signature: code.signature, parameters: code.parameters, methods };
}

/** Return the fields of the form; a method's parameters are not known, so all are one field. */
export function fieldsFor(code: CalledCode): Field[] {
  return code.methods.length > 0 ? [ARGUMENTS] : fieldsOf(code.parameters);
}

/** Return the body of a call, or what is wrong with it. */
export function bodyFor(code: CalledCode, fields: readonly Field[], texts: Texts): Body | Faults {
  return code.methods.length > 0 ? bodyOfArguments(texts) : bodyOf(fields, texts);
}

const ARGUMENTS: Field = {
  name: 'arguments',
  kind: 'keyword_only',
  type: 'json',
  choices: [],
  isNullable: false,
  isRequired: false,
  hint: '{"name": value} or [value, …]',
  default: '',
  initial: ''
};

function bodyOfArguments(texts: Texts): Body | Faults {
  const text = (texts.get(ARGUMENTS.name) ?? '').trim() || '{}';
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null) return { text, contentType: 'application/json' };
  } catch {
    // The sentence below says what is expected.
  }
  const sentence = 'An object of names, like {"x": 1}, or a list, like [1, 2], is expected.';
  return { byField: new Map([[ARGUMENTS.name, sentence]]) };
}
