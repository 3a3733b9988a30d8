/**
 * Maps of a page's state: those that run, and for a while those that it has seen end. Pure.
 *
 * What had ended before this page came is not its news: `%faas maps` lists it.
 */

import type { GatewayEvent, MapView } from './types';

/** How long a map is shown after its end. */
export const ENDED_S = 60;
/** So many that have ended are shown, the last ones: a loop of maps is no flood. */
export const MOST_ENDED = 3;

/** A map, and when this page saw it end, by the gateway's clock. */
export interface ShownMap extends MapView {
  readonly seenEndAt?: number;
}

/** By id, in the order in which they began. */
export type Maps = ReadonlyMap<string, ShownMap>;

/** Return the maps after a snapshot: those that run, and those that were seen to end. */
export function listedMaps(before: Maps, listed: readonly MapView[] = []): Maps {
  const shown = listed.flatMap((one): ShownMap[] => {
    if (one.state === 'running') return [one];
    const seenEndAt = before.get(one.id)?.seenEndAt;
    return seenEndAt === undefined ? [] : [{ ...one, seenEndAt }];
  });
  return inOrder(shown);
}

/** Return the maps after an event about one of them; of one that was never seen to run, the same. */
export function withMap(maps: Maps, event: GatewayEvent): Maps {
  const told = event.value as MapView;
  const before = maps.get(told.id);
  const others = [...maps.values()].filter(one => one.id !== told.id);
  if (told.state === 'running') return inOrder([...others, told]);
  if (before === undefined) return maps;
  const running = others.filter(one => one.seenEndAt === undefined);
  const ended = [...others.filter(one => one.seenEndAt !== undefined), { ...told, seenEndAt: before.seenEndAt ?? event.at }];
  return inOrder([...running, ...ended.sort(byEnd).slice(-MOST_ENDED)]);
}

/** Return the maps without those that ended long ago; the same if there are none of them. */
export function keptMaps(maps: Maps, nowS: number): Maps {
  const kept = [...maps].filter(([, { seenEndAt }]) => seenEndAt === undefined || seenEndAt > nowS - ENDED_S);
  return kept.length === maps.size ? maps : new Map(kept);
}

/** Return whether one of them is shown only because it ended a moment ago. */
export function hasEnded(maps: Maps): boolean {
  return [...maps.values()].some(one => one.seenEndAt !== undefined);
}

/** Return the maps of a function, in order. */
export function mapsOf(maps: Maps, name: string, namespace: string): ShownMap[] {
  return [...maps.values()].filter(one => one.function === name && one.namespace === namespace);
}

/** Return how far a map is, 0 to 1; null: nobody knows how much there is. */
export function shareOf({ done, total }: MapView): number | null {
  if (total === null) return null;
  return total === 0 ? 1 : Math.min(1, done / total);
}

/** Return how long a map will take yet at its present rate, seconds; null: nobody knows. */
export function leftS({ state, done, total, rate }: MapView): number | null {
  if (state !== 'running' || total === null || rate <= 0) return null;
  return Math.max(0, total - done) / rate;
}

/** Return whether something of an ended map can be run again: its inputs are kept. */
export function canRetry({ state, isKept, failed }: MapView): boolean {
  return isKept && state !== 'running' && (state !== 'done' || failed > 0);
}

function inOrder(maps: readonly ShownMap[]): Maps {
  const sorted = [...maps].sort((a, b) => a.startedAt - b.startedAt || (a.id < b.id ? -1 : 1));
  return new Map(sorted.map(one => [one.id, one]));
}

function byEnd(one: ShownMap, other: ShownMap): number {
  return (one.seenEndAt ?? 0) - (other.seenEndAt ?? 0);
}
