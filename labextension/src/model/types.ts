/**
 * What the gateway says, as it comes over the wire: `/v1/state`, its events, and the messages of
 * the server extension. Names are the wire's; see `jupyter_faas/gateway/views.py` and `events.py`.
 */

export type ReplicaState = 'starting' | 'ready' | 'busy' | 'draining' | 'lost';
export type RevisionState = 'pending' | 'ready' | 'failed' | 'removed';

export interface Replica {
  readonly id: string;
  readonly function: string;
  readonly namespace: string;
  readonly revision: number;
  readonly state: ReplicaState;
  readonly reason: string;
  readonly inFlight: number;
  /** Wall clock, seconds. */
  readonly startedAt: number;
  readonly node: string;
  readonly pid: number | null;
}

export interface Scaling {
  readonly minContainers: number;
  readonly maxContainers: number;
  readonly bufferContainers: number;
  readonly scaledownWindowSeconds: number;
  /** Wanted mean in flight per replica; null: the revision's `maxInputs`. */
  readonly targetInputs: number | null;
}

export interface Counts {
  readonly inFlight: number;
  readonly queued: number;
  readonly accepted: number;
  readonly ended: number;
  readonly errors: number;
  readonly cancelled: number;
  readonly dead: number;
  readonly rejected: number;
  readonly coldStarts: number;
  readonly p50Milliseconds: number | null;
  readonly p95Milliseconds: number | null;
  /** Part of `errors`: what the code is at fault for. */
  readonly userErrors: number;
  /** Memory limit × run time: the cost so far. */
  readonly memoryMebibyteSeconds: number;
  /** Items of maps that have ended; on replicas one call has many of them. */
  readonly items?: number;
}

/** The last decision of the autoscaler that changed a count. */
export interface Scaled {
  readonly revision: number;
  readonly before: number;
  readonly after: number;
  readonly reason: string;
  readonly at: number;
}

export interface FunctionView {
  readonly name: string;
  readonly namespace: string;
  readonly state: 'pending' | 'ready' | 'failed';
  readonly reason: string;
  readonly url: string;
  readonly latest: number;
  /** Revision number to weight > 0. */
  readonly traffic: Readonly<Record<string, number>>;
  readonly settings: {
    readonly scaling: Scaling;
    readonly queueTimeoutSeconds: number;
    readonly public: boolean;
  };
  readonly createdAt: number;
  readonly replicaCounts: Readonly<Partial<Record<ReplicaState, number>>>;
  readonly counts: Counts;
  readonly scaled: Scaled | null;
}

/** Who deployed, from where; `jupyter_faas/client/origin.py` makes it. */
export interface Origin {
  readonly owner: string;
  readonly notebook: string;
  readonly cellId: string;
  /** What stands at the cell's prompt; 0 or absent: no cell is known. */
  readonly cellNumber?: number;
  readonly sourceDigest: string;
  readonly session: string;
}

export interface Parameter {
  readonly name: string;
  readonly kind: string;
  readonly annotation?: string | null;
  readonly default?: string | null;
  /** Of an enumeration: the values of its members, each as JSON. */
  readonly choices?: readonly string[];
}

/** What a list shows of a revision: how it is, and which cell it came from. */
export interface RevisionBrief {
  readonly function: string;
  readonly namespace: string;
  readonly number: number;
  readonly id: string;
  readonly state: RevisionState;
  readonly reason: string;
  readonly createdAt: number;
  readonly origin: Origin;
}

/** All of a revision: `GET v1/functions/{name}/revisions`. */
export interface RevisionView extends RevisionBrief {
  readonly weight: number;
  readonly isLive: boolean;
  /** Phrases: what changed since the one before. */
  readonly changes: readonly string[];
  readonly spec: {
    readonly code: {
      readonly entry: string;
      readonly kind: string;
      readonly python: string;
      readonly signature: string;
      /** Of a class: what its methods give, by name. */
      readonly methods: Readonly<Record<string, string>>;
      readonly parameters: readonly Parameter[];
    };
    readonly maxInputs: number;
    readonly resources: {
      readonly cpu: number;
      readonly memoryMebibytes: number;
      readonly gpu: string | null;
    };
    readonly timeoutSeconds: number;
    readonly packages: readonly string[];
    readonly image: string | null;
  };
}

export type Outcome = 'done' | 'error' | 'timeout' | 'lost' | 'cancelled' | 'rejected' | 'dead';

/** One ended invocation. */
export interface Call {
  readonly id: string;
  readonly function: string;
  readonly namespace: string;
  readonly revision: number;
  readonly replica: string;
  readonly outcome: Outcome;
  readonly code: string;
  readonly detail: string;
  readonly startedAt: number;
  readonly queuedMilliseconds: number;
  readonly runMilliseconds: number;
  readonly memoryMebibytes: number;
  readonly cold: boolean;
}

/** A piece of output as it was written: part of a line, or several. */
export interface LogPiece {
  readonly seq: number;
  readonly at: number;
  readonly revision: number;
  readonly replica: string;
  readonly invocation: string;
  readonly stream: 'stdout' | 'stderr';
  readonly text: string;
}

/** A map: how it goes. Also of one that ended a moment ago, or whose results are kept. */
export interface MapView {
  readonly id: string;
  readonly function: string;
  readonly namespace: string;
  readonly revision: number;
  /** Where its items run: `replicas` or `ray`. */
  readonly engine: string;
  readonly state: 'running' | 'done' | 'failed' | 'cancelled';
  /** A sentence worth knowing; empty: none. */
  readonly note: string;
  /** Inputs in all; null: not known (yet). */
  readonly total: number | null;
  readonly given: number;
  /** Items that have ended, failed ones too. */
  readonly done: number;
  readonly failed: number;
  readonly running: number;
  /** Items a second, lately. */
  readonly rate: number;
  /** How busy each worker is, 0 to 1. */
  readonly workers: readonly number[];
  /** The item that has run longest: its index and its seconds. */
  readonly slowest: readonly [number, number] | null;
  /** Wall clock, seconds. */
  readonly startedAt: number;
  readonly isKept: boolean;
  /** Of a kept map that has ended: wall clock, seconds; 0: it is none. */
  readonly endedAt: number;
}

/** The whole state: `/v1/state`. */
export interface Snapshot {
  readonly epoch: string;
  readonly seq: number;
  readonly version: string;
  readonly provider: string;
  readonly url: string;
  readonly namespace: string;
  readonly startedAt: number;
  readonly functions: readonly FunctionView[];
  readonly replicas: readonly Replica[];
  readonly revisions: readonly RevisionBrief[];
  /** A stored state has none. */
  readonly maps?: readonly MapView[];
}

/** One event; what `value` is, `kind` says. Kinds that are not known are passed over. */
export interface GatewayEvent {
  readonly seq: number;
  readonly kind: string;
  readonly at: number;
  readonly namespace: string;
  readonly function: string;
  readonly id: string;
  readonly value: unknown;
}

export interface GatewayStatus {
  readonly state: 'live' | 'connecting' | 'reconnecting' | 'asleep' | 'none';
  readonly provider: string;
  readonly url: string;
  readonly version: string;
  readonly reason: string;
}

/** What a server (or kernel) tells a page. */
export type ServerMessage =
  | { readonly type: 'gateway'; readonly gateway: GatewayStatus }
  | { readonly type: 'snapshot'; readonly state: Snapshot }
  | { readonly type: 'events'; readonly events: readonly GatewayEvent[] }
  | { readonly type: 'log'; readonly function: string; readonly lines: readonly LogPiece[] };
