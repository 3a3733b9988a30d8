/**
 * What a page knows: made of a snapshot and the events after it. Pure.
 *
 * Each function is a value of its own that is replaced only when something about it has changed:
 * what is drawn from it is drawn anew only then.
 */

import { begun } from './begun';
import { record, type History } from './history';
import { added } from './loglines';
import { hasEnded, keptMaps, listedMaps, withMap, type Maps } from './maps';
import type {
  Call,
  Counts,
  FunctionView,
  GatewayEvent,
  GatewayStatus,
  LogPiece,
  Replica,
  RevisionBrief,
  Scaled,
  ServerMessage,
  Snapshot
} from './types';

/** How long a lost replica is shown. */
export const LOST_S = 10;
const MAX_CALLS = 50;

/** A replica, and since when it is lost by the gateway's clock. */
export interface ShownReplica extends Replica {
  readonly lostAt?: number;
}

export interface FunctionState {
  readonly view: FunctionView;
  /** In the order in which they were started. */
  readonly replicas: readonly ShownReplica[];
  /** Newest first. */
  readonly revisions: readonly RevisionBrief[];
  readonly history: History;
  /** Ended invocations, newest first; only of functions whose calls are watched. */
  readonly calls: readonly Call[];
  /** What it printed; only of functions whose log is followed. */
  readonly log: readonly LogPiece[];
}

export interface State {
  readonly gateway: GatewayStatus;
  /** Of the gateway process the state comes from; empty: none yet, or a stored state. */
  readonly epoch: string;
  readonly seq: number;
  readonly namespace: string;
  /** Whether there has been a snapshot. */
  readonly isKnown: boolean;
  /** By `keyOf`, in alphabetical order. */
  readonly functions: ReadonlyMap<string, FunctionState>;
  /** Those that run, and those that ended a moment ago. */
  readonly maps: Maps;
  /** How far this page's clock is ahead of the gateway's, seconds; null: nothing has told. */
  readonly skewS: number | null;
}

export const EMPTY: State = {
  gateway: { state: 'connecting', provider: '', url: '', version: '', reason: '' },
  epoch: '',
  seq: 0,
  namespace: '',
  isKnown: false,
  functions: new Map(),
  maps: new Map(),
  skewS: null
};

/** Return the key of a function in `State.functions`. */
export function keyOf(namespace: string, name: string): string {
  return `${namespace}/${name}`;
}

/** Return a function by name in the state's own namespace or the named one. */
export function find(state: State, name: string, namespace?: string): FunctionState | undefined {
  return state.functions.get(keyOf(namespace ?? state.namespace, name));
}

/**
 * Return the state after a message.
 *
 * @param nowS This page's wall clock, seconds.
 */
export function apply(state: State, message: ServerMessage, nowS: number): State {
  switch (message.type) {
    case 'gateway':
      return { ...state, gateway: message.gateway };
    case 'snapshot':
      return fromSnapshot(state, message.state, nowS);
    case 'events':
      return afterEvents(state, message.events, nowS);
    case 'log':
      return withLog(state, message.function, message.lines);
  }
}

/** Return the state without what was shown long enough; the same if there is nothing of it. */
export function pruned(state: State, nowS: number): State {
  const until = gatewayTime(state, nowS) - LOST_S;
  const maps = keptMaps(state.maps, gatewayTime(state, nowS));
  const functions = new Map(state.functions);
  let isChanged = maps !== state.maps;
  for (const [key, one] of functions) {
    const replicas = one.replicas.filter(({ lostAt }) => lostAt === undefined || lostAt > until);
    if (replicas.length === one.replicas.length) continue;
    functions.set(key, { ...one, replicas });
    isChanged = true;
  }
  return isChanged ? { ...state, functions, maps } : state;
}

/** Return whether something is shown only because it ended a moment ago. */
export function isFleeting(state: State): boolean {
  if (hasEnded(state.maps)) return true;
  for (const one of state.functions.values()) {
    if (one.replicas.some(replica => replica.lostAt !== undefined)) return true;
  }
  return false;
}

/** Return the gateway's wall clock, as far as it is known. */
export function gatewayTime(state: State, nowS: number): number {
  return nowS - (state.skewS ?? 0);
}

/** Return how many replicas there are, lost ones left out. */
export function living(replicas: readonly ShownReplica[]): number {
  return replicas.filter(replica => replica.state !== 'lost').length;
}

/** Return calls with more of them, newest first, each once. */
export function withCalls(known: readonly Call[], more: readonly Call[]): readonly Call[] {
  const byId = new Map([...known, ...more].map(call => [call.id, call]));
  if (byId.size === known.length) return known;
  const newest = [...byId.values()].sort((a, b) => b.startedAt - a.startedAt);
  return newest.slice(0, MAX_CALLS);
}

function fromSnapshot(state: State, snapshot: Snapshot, nowS: number): State {
  const { epoch, seq, namespace } = snapshot;
  const isSameProcess = epoch !== '' && epoch === state.epoch;
  const functions = new Map<string, FunctionState>();
  for (const view of snapshot.functions) {
    const key = keyOf(view.namespace, view.name);
    const before = state.functions.get(key);
    const belongs = (one: { function: string; namespace: string }) =>
      one.function === view.name && one.namespace === view.namespace;
    const replicas = snapshot.replicas.filter(belongs).sort(byStart);
    functions.set(key, {
      view,
      replicas,
      revisions: snapshot.revisions.filter(belongs).sort(byNumber),
      history: pointed(before?.history ?? [], view.counts, replicas, nowS),
      calls: before?.calls ?? [],
      log: isSameProcess ? (before?.log ?? []) : []
    });
  }
  const maps = listedMaps(state.maps, snapshot.maps);
  return { ...state, epoch, seq, namespace, isKnown: true, functions: sorted(functions), maps };
}

function afterEvents(state: State, events: readonly GatewayEvent[], nowS: number): State {
  if (!state.isKnown) return state;
  const functions = new Map(state.functions);
  const newer = events.filter(event => event.seq > state.seq);
  const maps = newer.filter(event => event.kind === 'map').reduce(withMap, state.maps);
  // Of each thing only the newest event is kept, so a replica may be told before its function is.
  const others = newer.filter(event => event.kind !== 'map');
  const early = others.filter(event => !applyEvent(functions, event, nowS));
  for (const event of early) applyEvent(functions, event, nowS);
  const isSorted = functions.size === state.functions.size;
  const delays = newer.map(event => nowS - event.at);
  return {
    ...state,
    seq: newer.reduce((seq, event) => Math.max(seq, event.seq), state.seq),
    functions: isSorted ? functions : sorted(functions),
    maps,
    skewS: newer.length === 0 ? state.skewS : Math.min(state.skewS ?? Infinity, ...delays)
  };
}

/** Change `functions` by an event; return false if its function is not known. */
function applyEvent(
  functions: Map<string, FunctionState>,
  event: GatewayEvent,
  nowS: number
): boolean {
  const key = keyOf(event.namespace, event.function);
  if (event.kind === 'deleted') {
    functions.delete(key);
    return true;
  }
  const before = functions.get(key) ?? begun(event);
  if (before === undefined) return false;
  const after = changed(before, event, nowS);
  if (after !== before || !functions.has(key)) functions.set(key, after);
  return true;
}

function changed(one: FunctionState, event: GatewayEvent, nowS: number): FunctionState {
  switch (event.kind) {
    case 'function': {
      const view = event.value as FunctionView;
      return { ...one, view, history: pointed(one.history, view.counts, one.replicas, nowS) };
    }
    case 'revision':
      return { ...one, revisions: withRevision(one.revisions, event) };
    case 'replica': {
      const replicas = withReplica(one.replicas, event);
      const history = pointed(one.history, one.view.counts, replicas, nowS);
      return { ...one, replicas, history };
    }
    case 'scaling':
      return { ...one, view: { ...one.view, scaled: event.value as Scaled } };
    case 'counts': {
      const counts = event.value as Counts;
      const history = pointed(one.history, counts, one.replicas, nowS);
      return { ...one, view: { ...one.view, counts }, history };
    }
    case 'call':
      return { ...one, calls: withCalls(one.calls, [event.value as Call]) };
    default:
      return one;
  }
}

function withRevision(
  revisions: readonly RevisionBrief[],
  event: GatewayEvent
): readonly RevisionBrief[] {
  const brief = event.value as RevisionBrief;
  const others = revisions.filter(one => one.number !== brief.number);
  return brief.state === 'removed' ? others : [...others, brief].sort(byNumber);
}

function withReplica(replicas: readonly ShownReplica[], event: GatewayEvent): ShownReplica[] {
  const status = event.value as Replica;
  const before = replicas.find(one => one.id === status.id);
  const others = replicas.filter(one => one.id !== status.id);
  if (status.state !== 'lost') return [...others, status].sort(byStart);
  // What was asked to end and has ended is gone; what ended otherwise is shown for a moment. That it
  // drained may not have been told: of each replica only the newest event is.
  if (before === undefined || before.state === 'draining' || status.reason === 'stopped') return others;
  return [...others, { ...status, lostAt: event.at }].sort(byStart);
}

function withLog(state: State, name: string, pieces: readonly LogPiece[]): State {
  const key = keyOf(state.namespace, name);
  const one = state.functions.get(key);
  const log = one && added(one.log, pieces);
  if (one === undefined || log === undefined || log === one.log) return state;
  return { ...state, functions: new Map(state.functions).set(key, { ...one, log }) };
}

function pointed(
  history: History,
  counts: Counts,
  replicas: readonly ShownReplica[],
  nowS: number
): History {
  const { inFlight, queued } = counts;
  return record(history, nowS, { inFlight, queued, replicas: living(replicas) });
}

function sorted(functions: Map<string, FunctionState>): Map<string, FunctionState> {
  return new Map([...functions].sort(([one], [other]) => (one < other ? -1 : 1)));
}

function byStart(one: Replica, other: Replica): number {
  return one.startedAt - other.startedAt || (one.id < other.id ? -1 : 1);
}

function byNumber(one: RevisionBrief, other: RevisionBrief): number {
  return other.number - one.number;
}
