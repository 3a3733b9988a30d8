/** What a line of the list says of a function. Pure. */

import { count } from '../../model/format';
import type { FunctionState, State } from '../../model/state';
import { spoken } from '../Dots';

export interface Row {
  readonly name: string;
  /** Instead of replicas: `asleep`, `✕ image not found`; empty: there are replicas. */
  readonly word: string;
  readonly isFailed: boolean;
  /** `14 ⇡`: so many are in flight. */
  readonly inFlight: string;
  readonly revision: string;
  /** The whole line as a sentence, for those who hear it. */
  readonly label: string;
}

/** Return the line of a function. */
export function rowOf(one: FunctionState): Row {
  const { view } = one;
  const number = revisionOf(one);
  const word = wordOf(one);
  const isAwake = one.replicas.length > 0;
  const load = view.counts.inFlight + view.counts.queued;
  return {
    name: view.name,
    word,
    isFailed: view.state === 'failed',
    inFlight: isAwake || load > 0 ? `${count(view.counts.inFlight)} ⇡` : '–',
    revision: number === 0 ? '' : `r${number}`,
    label: [view.name, ...told(one, word), `revision ${number}`].join(', ')
  };
}

/** Return the number of the revision with most of the traffic, or of the one on its way. */
export function revisionOf({ view }: FunctionState): number {
  const byWeight = Object.entries(view.traffic).sort(([, one], [, other]) => other - one);
  return Number(byWeight[0]?.[0] ?? view.latest);
}

/** Return the functions whose name contains what was typed. */
export function filtered(state: State, typed: string): FunctionState[] {
  const wanted = typed.trim().toLowerCase();
  return [...state.functions.values()].filter(one => one.view.name.toLowerCase().includes(wanted));
}

/** Return what the state line says: mark, state, and which gateway. */
export function gatewayLine({ gateway }: State): string {
  const place = gateway.provider === '' ? '' : ` · ${gateway.provider} gateway`;
  switch (gateway.state) {
    case 'live':
      return `⟳ live${place}`;
    case 'asleep':
      return `◌ asleep${place}: it wakes with the next call`;
    case 'none':
      return 'None running: it starts with the first call.';
    case 'connecting':
      return '◌ connecting';
    case 'reconnecting':
      return `◌ reconnecting${place}`;
  }
}

function wordOf({ view, replicas }: FunctionState): string {
  if (view.state === 'failed') return `✕ ${view.reason || 'failed'}`;
  if (replicas.length > 0) return '';
  return view.state === 'pending' ? '◌ starting' : 'asleep';
}

function told(one: FunctionState, word: string): string[] {
  const { inFlight, queued } = one.view.counts;
  const load = [`${count(inFlight)} in flight`, ...(queued > 0 ? [`${count(queued)} queued`] : [])];
  if (word === '') return [spoken(one.replicas), ...load];
  return [word.replace(/^\W+/, ''), ...(inFlight + queued > 0 ? load : [])];
}
