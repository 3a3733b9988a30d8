import { useEffect, useState } from 'preact/hooks';
import type { Feed } from '../connection/feed';
import { exact, milliseconds, timeOfDay } from '../model/format';
import type { FunctionState } from '../model/state';
import type { Call, Outcome } from '../model/types';
import { pathOf } from './hooks';
import { memo } from './memo';

const SHOWN = 8;
const MOST = 20;

const WORDS: Readonly<Record<Outcome, string>> = {
  done: 'ok',
  error: 'error',
  timeout: 'timed out',
  lost: 'lost',
  cancelled: 'cancelled',
  rejected: 'turned away',
  dead: 'given up'
};

/** Who must act; empty: nobody. */
const FAULTS: Readonly<Record<Outcome, string>> = {
  done: '',
  error: 'user',
  timeout: 'user',
  lost: 'platform',
  cancelled: '',
  rejected: 'capacity',
  dead: 'capacity'
};

interface CallsProps {
  readonly feed: Feed;
  readonly one: FunctionState;
  /** Show what one call has printed. */
  readonly onLog: (invocation: string) => void;
}

/** The last invocations: when, how they ended, how long they waited and ran, who was at fault. */
export function Calls({ feed, one, onLog }: CallsProps) {
  const { name, namespace } = one.view;
  const [isAll, setAll] = useState(false);
  useEffect(() => {
    void feed.transport.act('GET', pathOf(one, `/invocations?limit=${MOST}`)).then(({ status, body }) => {
      if (status !== 200) return;
      feed.store.addCalls(namespace, name, (body as { invocations?: Call[] }).invocations ?? []);
    });
  }, [feed, namespace, name]);
  if (one.calls.length === 0) return <p class="faas-quiet">No call has ended yet.</p>;
  return (
    <div class="faas-scroll">
      <table class="faas-calls" aria-label="last calls">
        <thead>
          <tr>
            <th scope="col">began</th>
            <th scope="col">how</th>
            <th scope="col" class="faas-number">ran</th>
            <th scope="col" class="faas-number">queued</th>
            <th scope="col" class="faas-number">rev</th>
            <th scope="col" />
          </tr>
        </thead>
        <tbody>
          {one.calls.slice(0, isAll ? MOST : SHOWN).map(call => (
            <Row key={call.id} call={call} onLog={onLog} />
          ))}
        </tbody>
      </table>
      {!isAll && one.calls.length > SHOWN && (
        <button type="button" class="faas-link" onClick={() => setAll(true)}>
          show {Math.min(one.calls.length, MOST)}
        </button>
      )}
    </div>
  );
}

interface RowProps {
  readonly call: Call;
  readonly onLog: (invocation: string) => void;
}

const Row = memo(function Row({ call, onLog }: RowProps) {
  const [isOpen, setOpen] = useState(false);
  const [first, ...rest] = call.detail.split('\n');
  const summary = call.outcome === 'done' ? '' : (first ?? '') || call.code;
  const fault = FAULTS[call.outcome];
  return (
    <>
      <tr class={fault === '' ? undefined : 'faas-bad'}>
        <td>
          <time title={exact(call.startedAt)}>{timeOfDay(call.startedAt)}</time>
        </td>
        <td>{WORDS[call.outcome]}</td>
        <td class="faas-number">{milliseconds(call.runMilliseconds)}</td>
        <td class="faas-number">{milliseconds(call.queuedMilliseconds)}</td>
        <td class="faas-number">{call.revision}</td>
        <td class="faas-call-more">
          <div>
            {call.cold && <span class="faas-tag" title="a replica was started for it">cold</span>}
            {fault !== '' && <span class="faas-tag">{fault}</span>}
            {summary !== '' && <span class="faas-summary" title={summary}>{summary}</span>}
            {rest.length > 0 && (
              <button type="button" class="faas-link" aria-expanded={isOpen} onClick={() => setOpen(!isOpen)}>
                traceback
              </button>
            )}
            <button type="button" class="faas-link" aria-label={`log of call ${call.id}`} onClick={() => onLog(call.id)}>
              log
            </button>
          </div>
        </td>
      </tr>
      {isOpen && (
        <tr>
          <td colSpan={6} class="faas-call-more">
            <pre class="faas-traceback">{call.detail}</pre>
          </td>
        </tr>
      )}
    </>
  );
});
