/**
 * What was in flight, queued and running over the last minutes: one point per second at most.
 *
 * Within a second the peak is kept beside what it came to: a peak between two points is seen. A
 * point holds until the next one: nothing is sent while nothing changes. Times are this page's.
 */

export const WINDOW_S = 300;
export const STEP_S = 1;

export interface Load {
  readonly inFlight: number;
  readonly queued: number;
  readonly replicas: number;
}

export interface Point {
  /** Wall clock, seconds. */
  readonly at: number;
  /** The most within `STEP_S` from then on. */
  readonly peak: Load;
  /** What it came to. */
  readonly last: Load;
}

export type History = readonly Point[];
export type Measure = keyof Load;

/** Return a history that goes on with a load, and without what is older than the window. */
export function record(history: History, at: number, load: Load): History {
  const before = history.at(-1);
  if (before !== undefined && isSame(before.last, load)) return history;
  if (before !== undefined && at < before.at + STEP_S) {
    const peak = highest(before.peak, load);
    return [...history.slice(0, -1), { at: before.at, peak, last: load }];
  }
  // The newest of the old ones stays: it says what was when the window began.
  const first = history.findLastIndex(one => one.at <= at - WINDOW_S);
  return [...(first > 0 ? history.slice(first) : history), { at, peak: load, last: load }];
}

/**
 * Return the steps of a measure within the window, oldest first.
 *
 * @returns `[seconds from the window's begin, value]`; the last one lies at the window's end.
 *   Empty if nothing is known.
 */
export function steps(history: History, measure: Measure, nowS: number): [number, number][] {
  const begin = nowS - WINDOW_S;
  const found: [number, number][] = [];
  let before: number | undefined;
  for (const { at, peak, last } of history) {
    if (at > begin) {
      found.push([Math.min(at, nowS) - begin, peak[measure]]);
      if (peak[measure] === last[measure]) continue;
      found.push([Math.min(at + STEP_S, nowS) - begin, last[measure]]);
    } else before = last[measure];
  }
  if (before !== undefined) found.unshift([0, before]);
  const end = found.at(-1);
  if (end !== undefined) found.push([WINDOW_S, end[1]]);
  return found;
}

/** Return whether a measure has changed within the window: only then a line moves. */
export function isMoving(history: History, nowS: number): boolean {
  const last = history.at(-1);
  return history.length > 1 && last !== undefined && last.at > nowS - WINDOW_S;
}

function highest(one: Load, other: Load): Load {
  return {
    inFlight: Math.max(one.inFlight, other.inFlight),
    queued: Math.max(one.queued, other.queued),
    replicas: Math.max(one.replicas, other.replicas)
  };
}

function isSame(one: Load, other: Load): boolean {
  return (
    one.inFlight === other.inFlight &&
    one.queued === other.queued &&
    one.replicas === other.replicas
  );
}
