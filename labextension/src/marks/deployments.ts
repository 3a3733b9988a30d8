/** What marks need of the state. Pure. */

import type { FunctionState, State } from '../model/state';
import type { Deployment, Source } from './mark';

/** Names of changed values by function, as a notebook's kernel tells them. */
export type OlderValues = ReadonlyMap<string, readonly string[]>;

/** Return the functions of a state as marks see them. */
export function deploymentsOf(state: State, older: OlderValues): Deployment[] {
  return [...state.functions.values()].map(one => ({
    name: one.view.name,
    sources: sourcesOf(one),
    live: liveOf(one),
    olderValues: older.get(one.view.name) ?? []
  }));
}

function sourcesOf({ revisions }: FunctionState): Source[] {
  return revisions.flatMap(({ number, state, reason, origin }) =>
    state === 'removed'
      ? []
      : [{ number, state, reason, cellId: origin.cellId, sourceDigest: origin.sourceDigest }]
  );
}

function liveOf({ view }: FunctionState): number {
  const byWeight = Object.entries(view.traffic).sort(([, one], [, other]) => other - one);
  return Number(byWeight[0]?.[0] ?? 0);
}
