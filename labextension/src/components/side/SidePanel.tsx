/** The side panel: every function there is, live, and what can be done with each. */

import { useEffect, useRef, useState } from 'preact/hooks';
import type { Feed } from '../../connection/feed';
import type { State } from '../../model/state';
import { useFeedState, useInterest } from '../hooks';
import { Maps } from '../Maps';
import { FunctionList } from './FunctionList';
import { NothingYet } from './NothingYet';
import { filtered, gatewayLine } from './row';
import type { SideActs } from './acts';

export interface Wanted {
  /** Function that is to be shown; a new object each time somebody asks. */
  readonly name: string;
}

export function SidePanel({ feed, acts, wanted }: { feed: Feed; acts: SideActs; wanted: Wanted | null }) {
  const state = useFeedState(feed);
  useInterest(feed, {});
  const [typed, setTyped] = useState('');
  const list = useRef<HTMLDivElement>(null);
  useEffect(() => setTyped(''), [wanted]);
  const shown = filtered(state, typed);
  const isEmpty = state.functions.size === 0 && (state.isKnown || state.gateway.state === 'none');
  const focusFirst = () => list.current?.querySelector<HTMLElement>('.faas-side-row')?.focus();
  return (
    <div class="faas-root faas-side">
      <div class="faas-side-top">
        <input
          type="search"
          class="faas-filter"
          placeholder="⌕ filter"
          aria-label="Filter functions by name"
          value={typed}
          onInput={event => setTyped(event.currentTarget.value)}
          onKeyDown={event => {
            if (event.key === 'Escape') setTyped('');
            if (event.key === 'ArrowDown' || event.key === 'Enter') focusFirst();
          }}
        />
      </div>
      <GatewayLine state={state} acts={acts} />
      <div ref={list} class="faas-side-list">
        <FunctionList feed={feed} state={state} functions={shown} acts={acts} wanted={wanted} />
        {state.functions.size > 0 && shown.length === 0 && (
          <p class="faas-note">No function has “{typed.trim()}” in its name.</p>
        )}
        {isEmpty && <NothingYet acts={acts} />}
        {state.maps.size > 0 && (
          <section class="faas-panel faas-side-maps" aria-label="Maps">
            <h3>Maps</h3>
            <Maps feed={feed} maps={[...state.maps.values()]} />
          </section>
        )}
      </div>
    </div>
  );
}

function GatewayLine({ state, acts }: { state: State; acts: SideActs }) {
  const [said, setSaid] = useState('');
  const [isStarting, setStarting] = useState(false);
  // Of a gateway that has never been the line says it all.
  const reason = state.gateway.state === 'none' ? '' : state.gateway.reason;
  const isAway = state.gateway.state === 'none' || state.gateway.state === 'asleep';
  const start = async () => {
    setStarting(true);
    setSaid(await acts.startGateway());
    setStarting(false);
  };
  return (
    <div class="faas-gateway" data-state={state.gateway.state}>
      <span role="status" title={state.gateway.url || undefined}>
        {isStarting ? '◌ starting' : gatewayLine(state)}
      </span>
      {isAway && (
        <button type="button" class="faas-button" disabled={isStarting} onClick={() => void start()}>
          Start
        </button>
      )}
      {(said || reason) && <p class="faas-note">{said || reason}</p>}
    </div>
  );
}
