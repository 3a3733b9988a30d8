/**
 * What was in flight, queued and running over the last minutes: one point per second at most.
 *
 * Within a second the highest load and the newest number of replicas stay: a peak between two
 * points is seen. A point holds until the next one: nothing is sent while nothing changes.
 */

export const WINDOW_S = 300;
export const STEP_S = 1;

export interface Point {
  /** Wall clock of the gateway, seconds. */
  readonly at: number;
  readonly inFlight: number;
  readonly queued: number;
  readonly replicas: number;
}

export type History = readonly Point[];
export type Measure = 'inFlight' | 'queued' | 'replicas';

/** Return a history with one more point, and without what is older than the window. */
export function record(history: History, point: Point): History {
  const last = history.at(-1);
  if (last !== undefined && isSame(last, point)) return history;
  if (last !== undefined && point.at < last.at + STEP_S) {
    return [...history.slice(0, -1), joined(last, point)];
  }
  const since = point.at - WINDOW_S;
  // The newest of the old ones stays: it says what was when the window began.
  const first = history.findLastIndex(one => one.at <= since);
  return [...(first > 0 ? history.slice(first) : history), point];
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
  let before: Point | undefined;
  for (const point of history) {
    if (point.at <= begin) before = point;
    else found.push([Math.min(point.at, nowS) - begin, point[measure]]);
  }
  if (before !== undefined) found.unshift([0, before[measure]]);
  const last = found.at(-1);
  if (last !== undefined) found.push([WINDOW_S, last[1]]);
  return found;
}

/** Return whether a measure has changed within the window: only then a line moves. */
export function isMoving(history: History, nowS: number): boolean {
  const last = history.at(-1);
  return history.length > 1 && last !== undefined && last.at > nowS - WINDOW_S;
}

function joined(last: Point, point: Point): Point {
  return {
    at: last.at,
    inFlight: Math.max(last.inFlight, point.inFlight),
    queued: Math.max(last.queued, point.queued),
    replicas: point.replicas
  };
}

function isSame(one: Point, other: Point): boolean {
  return (
    one.inFlight === other.inFlight &&
    one.queued === other.queued &&
    one.replicas === other.replicas
  );
}
