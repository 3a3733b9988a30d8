/** One field of a form: what it is for, where to write, and what is wrong with what is written. */

import { useId } from 'preact/hooks';
import type { Field } from '../../invoke/fields';

export interface FieldProps {
  field: Field;
  text: string;
  /** A sentence; empty: nothing is wrong. */
  fault: string;
  onInput: (text: string) => void;
}

export function FieldInput({ field, text, fault, onInput }: FieldProps) {
  const id = useId();
  const common = {
    id,
    name: field.name,
    'aria-invalid': fault !== '',
    'aria-describedby': `${id}-more`,
    'aria-required': field.isRequired
  };
  const choices = choicesOf(field);
  return (
    <div class="faas-field">
      <label for={id} class="faas-field-name">
        {field.name}
        {field.hint && <span class="faas-hint"> {field.hint}</span>}
      </label>
      {choices ? (
        <select {...common} value={text} onChange={event => onInput(event.currentTarget.value)}>
          {choices.map(([value, shown]) => (
            <option key={value} value={value}>
              {shown}
            </option>
          ))}
        </select>
      ) : (
        <textarea
          {...common}
          rows={Math.min(8, text.split('\n').length)}
          spellcheck={false}
          placeholder={placeholderOf(field)}
          value={text}
          onInput={event => onInput(event.currentTarget.value)}
          onKeyDown={submitOnEnter}
        />
      )}
      <span id={`${id}-more`} class={fault ? 'faas-fault' : 'faas-note'} role={fault ? 'alert' : undefined}>
        {fault}
      </span>
    </div>
  );
}

/** Value and words of each; null: it is written freely. */
function choicesOf(field: Field): [string, string][] | null {
  const none: [string, string][] = field.initial === '' ? [['', emptyWord(field)]] : [];
  if (field.type === 'bool') return [...none, ['true', 'True'], ['false', 'False'], ...nullable(field)];
  if (field.type !== 'choice') return null;
  return [...none, ...field.choices.map((one): [string, string] => [one, words(one)]), ...nullable(field)];
}

/** Without a default to begin with, the empty choice says `None` already. */
function nullable(field: Field): [string, string][] {
  return field.isNullable && field.initial !== '' ? [['', 'None']] : [];
}

function emptyWord(field: Field): string {
  if (field.default !== '') return field.default;
  return field.isNullable ? 'None' : 'choose …';
}

function words(json: string): string {
  const value: unknown = JSON.parse(json);
  return typeof value === 'string' ? value : json;
}

function placeholderOf(field: Field): string {
  if (field.default !== '' && field.initial === '') return field.default;
  return field.isNullable ? 'None' : field.isRequired ? '' : 'may stay empty';
}

/** Enter calls, as in a field of one line; Shift+Enter begins a new line. */
function submitOnEnter(event: KeyboardEvent & { currentTarget: HTMLTextAreaElement }): void {
  if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  event.currentTarget.form?.requestSubmit();
}
