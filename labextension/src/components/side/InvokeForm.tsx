/** A form made of a function's signature: a field for each parameter, and what comes back. */

import { useEffect, useRef, useState } from 'preact/hooks';
import type { Feed } from '../../connection/feed';
import { invoke, type Result } from '../../connection/invoke';
import type { Server } from '../../connection/socket';
import { problemOf } from '../../connection/transport';
import { isBody, type Texts } from '../../invoke/body';
import { bodyFor, codeOf, fieldsFor, type CalledCode } from '../../invoke/code';
import type { FunctionState } from '../../model/state';
import { FieldInput } from './FieldInput';
import { ResultView } from './ResultView';
import { revisionOf } from './row';

export function InvokeForm({ feed, one, server }: { feed: Feed; one: FunctionState; server: Server }) {
  const name = one.view.name;
  const number = revisionOf(one);
  const [code, setCode] = useState<CalledCode | string>('');
  useEffect(() => {
    let isGone = false;
    const path = `v1/functions/${encodeURIComponent(name)}/revisions/${number}`;
    void feed.transport.act('GET', path).then(answer => {
      if (!isGone) setCode(problemOf(answer) || (codeOf(answer.body) ?? 'Its signature is not known.'));
    });
    return () => void (isGone = true);
  }, [name, number]);
  if (typeof code === 'string') return <p class="faas-note">{code || 'Reading its signature …'}</p>;
  return <Form key={number} name={name} code={code} server={server} />;
}

function Form({ name, code, server }: { name: string; code: CalledCode; server: Server }) {
  const [texts, setTexts] = useState<Texts>(new Map());
  const [faults, setFaults] = useState<Texts>(new Map());
  const [method, setMethod] = useState(code.methods[0] ?? '');
  const [result, setResult] = useState<Result | null>(null);
  const form = useRef<HTMLFormElement>(null);
  const running = useRef<AbortController | null>(null);
  useEffect(() => () => running.current?.abort(), []);
  const fields = fieldsFor(code);
  const call = () => {
    const body = bodyFor(code, fields, texts);
    setFaults(isBody(body) ? new Map() : body.byField);
    if (!isBody(body)) {
      const [wrong] = body.byField.keys();
      form.current?.querySelector<HTMLElement>(`[name="${CSS.escape(wrong ?? '')}"]`)?.focus();
      return;
    }
    running.current = new AbortController();
    void invoke(server, { name, method, body }, setResult, running.current.signal);
  };
  const isRunning = result?.state === 'running';
  return (
    <form
      ref={form}
      class="faas-invoke"
      aria-label={`Call ${name}`}
      noValidate
      onSubmit={event => {
        event.preventDefault();
        if (!isRunning) call();
      }}
    >
      <code class="faas-signature">{name}{code.signature}</code>
      {code.methods.length > 0 && (
        <label class="faas-field">
          <span class="faas-field-name">method</span>
          <select value={method} onChange={event => setMethod(event.currentTarget.value)}>
            {code.methods.map(one => (
              <option key={one}>{one}</option>
            ))}
          </select>
        </label>
      )}
      {fields.map(field => (
        <FieldInput
          key={field.name}
          field={field}
          text={texts.get(field.name) ?? field.initial}
          fault={faults.get(field.name) ?? ''}
          onInput={text => setTexts(new Map(texts).set(field.name, text))}
        />
      ))}
      <div class="faas-side-acts">
        <button type="submit" class="faas-button faas-primary" disabled={isRunning}>
          Call
        </button>
        {isRunning && (
          <button type="button" class="faas-button" onClick={() => running.current?.abort()}>
            Cancel
          </button>
        )}
      </div>
      {result && <ResultView result={result} />}
    </form>
  );
}
