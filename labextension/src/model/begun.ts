/** What is known of a function by the first event that is about it. Pure. */

import type { FunctionState } from './state';
import type { Counts, FunctionView, GatewayEvent, RevisionBrief } from './types';

const NO_COUNTS: Counts = {
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

/** Return what is known of a function by its first event; of one that has been deleted, nothing. */
export function begun(event: GatewayEvent): FunctionState | undefined {
  const nothing = { replicas: [], revisions: [], history: [], calls: [], log: [] };
  if (event.kind === 'function') return { ...nothing, view: event.value as FunctionView };
  const brief = event.value as Partial<RevisionBrief>;
  if (event.kind !== 'revision' || brief.state === 'removed') return undefined;
  return { ...nothing, view: pendingView(event, brief.number ?? 1) };
}

function pendingView(event: GatewayEvent, latest: number): FunctionView {
  return {
    name: event.function,
    namespace: event.namespace,
    state: 'pending',
    reason: '',
    url: '',
    latest,
    traffic: {},
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
    createdAt: event.at,
    replicaCounts: {},
    counts: NO_COUNTS,
    scaled: null
  };
}
