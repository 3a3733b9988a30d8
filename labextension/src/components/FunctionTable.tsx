import type { Feed } from '../connection/feed';
import { count, milliseconds } from '../model/format';
import type { FunctionState } from '../model/state';
import { steps } from '../model/history';
import { Dots } from './Dots';
import { GatewayLine } from './GatewayLine';
import { sharesWords } from './Headline';
import { useFeedState, useInterest } from './hooks';
import { steppedPath } from './Lines';
import { Maps } from './Maps';
import { memo } from './memo';

interface TableProps {
  readonly feed: Feed;
  readonly onOpen: (name: string, namespace: string) => void;
}

/** All functions, one line each. */
export function FunctionTable({ feed, onOpen }: TableProps) {
  const state = useFeedState(feed);
  useInterest(feed, {});
  const nowS = Date.now() / 1000;
  return (
    <article class="faas-panel" aria-label="functions">
      <GatewayLine feed={feed} />
      {state.functions.size === 0 ? (
        <p class="faas-quiet">
          {state.isKnown
            ? 'Nothing deployed yet. Put @serverless above a function, or start a cell with %%faas deploy.'
            : 'Waiting for the gateway.'}
        </p>
      ) : (
        <div class="faas-scroll">
          <table class="faas-table" aria-label="functions">
            <thead>
              <tr>
                <th scope="col">function</th>
                <th scope="col">replicas</th>
                <th scope="col" class="faas-number">in flight</th>
                <th scope="col" class="faas-number">queued</th>
                <th scope="col">5 minutes</th>
                <th scope="col" class="faas-number">calls</th>
                <th scope="col" class="faas-number">errors</th>
                <th scope="col" class="faas-number">p95</th>
                <th scope="col">traffic</th>
              </tr>
            </thead>
            <tbody>
              {[...state.functions].map(([key, one]) => (
                <Row key={key} one={one} onOpen={onOpen} nowS={nowS} />
              ))}
            </tbody>
          </table>
        </div>
      )}
      {state.maps.size > 0 && (
        <section class="faas-table-maps" aria-label="Maps">
          <h3>Maps</h3>
          <Maps feed={feed} maps={[...state.maps.values()]} />
        </section>
      )}
    </article>
  );
}

interface RowProps {
  readonly one: FunctionState;
  readonly nowS: number;
  readonly onOpen: (name: string, namespace: string) => void;
}

const Row = memo(
  function Row({ one, nowS, onOpen }: RowProps) {
    const { name, namespace, state, reason, counts } = one.view;
    const path = steppedPath(steps(one.history, 'inFlight', nowS), 60, 14);
    return (
      <tr>
        <th scope="row">
          <button type="button" class="faas-link" onClick={() => onOpen(name, namespace)}>
            {name}
          </button>
        </th>
        <td title={reason}>
          {one.replicas.length > 0 ? (
            <Dots replicas={one.replicas} most={12} />
          ) : (
            <span class={state === 'failed' ? 'faas-bad' : 'faas-quiet'}>{stateWord(state, reason)}</span>
          )}
        </td>
        <td class="faas-number">{count(counts.inFlight)}</td>
        <td class="faas-number">{count(counts.queued)}</td>
        <td>
          <svg class="faas-spark-line" viewBox="0 0 60 14" width="60" height="14" aria-hidden="true">
            <path class="faas-stroke" d={path} />
          </svg>
        </td>
        <td class="faas-number">{count(counts.accepted)}</td>
        <td class={counts.errors > 0 ? 'faas-number faas-bad' : 'faas-number'}>{count(counts.errors)}</td>
        <td class="faas-number">{milliseconds(counts.p95Milliseconds)}</td>
        <td>{sharesWords(one)}</td>
      </tr>
    );
  },
  ({ one }) => one
);

function stateWord(state: string, reason: string): string {
  if (state === 'failed') return `✕ ${reason || 'failed'}`;
  return state === 'pending' ? '◌ starting' : 'asleep';
}
