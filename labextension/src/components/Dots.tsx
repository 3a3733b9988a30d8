import { exact, plural } from '../model/format';
import { living, type ShownReplica } from '../model/state';
import type { ReplicaState } from '../model/types';
import { memo } from './memo';

export const MARKS: Readonly<Record<ReplicaState, string>> = {
  starting: '◌',
  ready: '○',
  busy: '●',
  draining: '◐',
  lost: '✕'
};

const ORDER: readonly ReplicaState[] = ['busy', 'ready', 'starting', 'draining', 'lost'];

export interface DotsProps {
  readonly replicas: readonly ShownReplica[];
  /** Marks that are drawn; of more, their number. */
  readonly most?: number;
}

/** One mark per replica: ◌ starting, ○ ready, ● busy, ◐ draining, ✕ lost. */
export const Dots = memo(function Dots({ replicas, most = 60 }: DotsProps) {
  const more = replicas.length - most;
  return (
    <span class="faas-dots" role="img" aria-label={spoken(replicas)}>
      {replicas.slice(0, most).map(replica => (
        <span key={replica.id} class={`faas-dot faas-${replica.state}`} title={tooltip(replica)}>
          {MARKS[replica.state]}
        </span>
      ))}
      {more > 0 && <span class="faas-quiet"> +{more}</span>}
    </span>
  );
});

/** Return the replicas as a sentence: `3 replicas: 2 busy, 1 starting`. */
export function spoken(replicas: readonly ShownReplica[]): string {
  const parts = ORDER.flatMap(state => {
    const there = replicas.filter(replica => replica.state === state).length;
    return there > 0 ? [`${there} ${state}`] : [];
  });
  const total = plural(living(replicas), 'replica');
  return parts.length > 0 ? `${total}: ${parts.join(', ')}` : 'no replicas';
}

function tooltip(replica: ShownReplica): string {
  const { state, revision, inFlight, reason, node, id, startedAt } = replica;
  const load = state === 'busy' ? `, ${inFlight} in flight` : '';
  return [
    `${state}${load}, revision ${revision}`,
    ...(reason === '' ? [] : [reason]),
    `since ${exact(startedAt)}`,
    node === '' ? id : `${id} on ${node}`
  ].join('\n');
}
