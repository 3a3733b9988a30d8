/** Values as the gateway gives them, for tests. */

import type {
  Call,
  Counts,
  FunctionView,
  GatewayEvent,
  LogPiece,
  MapView,
  Replica,
  RevisionBrief,
  RevisionView,
  Snapshot
} from '../src/model/types';

export const NOW_S = 1_795_000_000;

export const COUNTS: Counts = {
  inFlight: 0,
  queued: 0,
  accepted: 0,
  ended: 0,
  errors: 0,
  userErrors: 0,
  cancelled: 0,
  dead: 0,
  rejected: 0,
  coldStarts: 0,
  p50Milliseconds: null,
  p95Milliseconds: null,
  memoryMebibyteSeconds: 0
};

export function view(name: string, more: Partial<FunctionView> = {}): FunctionView {
  return {
    name,
    namespace: 'default',
    state: 'ready',
    reason: '',
    url: `http://127.0.0.1:9000/function/${name}`,
    latest: 1,
    traffic: { '1': 100 },
    settings: {
      scaling: {
        minContainers: 0,
        maxContainers: 10,
        bufferContainers: 0,
        scaledownWindowSeconds: 60,
        targetInputs: null
      },
      queueTimeoutSeconds: 60,
      public: false
    },
    createdAt: NOW_S - 100,
    replicaCounts: {},
    counts: COUNTS,
    scaled: null,
    ...more
  };
}

export function replica(id: string, state: Replica['state'], more: Partial<Replica> = {}): Replica {
  return {
    id,
    function: 'score',
    namespace: 'default',
    revision: 1,
    state,
    reason: '',
    inFlight: state === 'busy' ? 1 : 0,
    startedAt: NOW_S - 50,
    node: '',
    pid: 42,
    ...more
  };
}

export function brief(number: number, more: Partial<RevisionBrief> = {}): RevisionBrief {
  return {
    function: 'score',
    namespace: 'default',
    number,
    id: String(number).repeat(64).slice(0, 64),
    state: 'ready',
    reason: '',
    createdAt: NOW_S - 1000 + number,
    origin: { owner: 'ada', notebook: 'a.ipynb', cellId: 'c1', sourceDigest: '', session: '' },
    ...more
  };
}

export function revision(number: number, more: Partial<RevisionView> = {}): RevisionView {
  return {
    ...brief(number),
    weight: 0,
    isLive: false,
    changes: [],
    spec: {
      code: {
        entry: 'score',
        kind: 'function',
        python: '3.11',
        methods: {},
        signature: '(text: str) -> int',
        parameters: [{ name: 'text', kind: 'POSITIONAL_OR_KEYWORD', annotation: 'str' }]
      },
      maxInputs: 1,
      resources: { cpu: 0.1, memoryMebibytes: 512, gpu: null },
      timeoutSeconds: 300,
      packages: [],
      image: null
    },
    ...more
  };
}

export function snapshot(more: Partial<Snapshot> = {}): Snapshot {
  return {
    epoch: 'e1',
    seq: 10,
    version: '0.1.0',
    provider: 'local',
    url: 'http://127.0.0.1:9000',
    namespace: 'default',
    startedAt: NOW_S - 500,
    functions: [view('score')],
    replicas: [],
    revisions: [brief(1)],
    ...more
  };
}

export function event(seq: number, kind: string, value: unknown, more: Partial<GatewayEvent> = {}): GatewayEvent {
  const id = typeof value === 'object' && value !== null && 'id' in value ? String(value.id) : '';
  return { seq, kind, at: NOW_S, namespace: 'default', function: 'score', id, value, ...more };
}

export function call(id: string, more: Partial<Call> = {}): Call {
  return {
    id,
    function: 'score',
    namespace: 'default',
    revision: 1,
    replica: 'a',
    outcome: 'done',
    code: '',
    detail: '',
    startedAt: NOW_S - 5,
    queuedMilliseconds: 0,
    runMilliseconds: 8,
    memoryMebibytes: 512,
    cold: false,
    ...more
  };
}

export function piece(seq: number, text: string, more: Partial<LogPiece> = {}): LogPiece {
  return {
    seq,
    at: NOW_S + seq / 1000,
    revision: 1,
    replica: 'a',
    invocation: '7f3a',
    stream: 'stdout',
    text,
    ...more
  };
}

export function map(id: string, more: Partial<MapView> = {}): MapView {
  return {
    id,
    function: 'score',
    namespace: 'default',
    revision: 1,
    engine: 'replicas',
    state: 'running',
    note: '',
    total: 100,
    given: 100,
    done: 71,
    failed: 0,
    running: 2,
    rate: 10,
    workers: [1, 0.5],
    slowest: null,
    startedAt: NOW_S - 20,
    isKept: false,
    endedAt: 0,
    ...more
  };
}
