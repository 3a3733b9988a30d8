import { useEffect, useState } from 'preact/hooks';
import type { Feed } from '../connection/feed';
import type { FunctionState } from '../model/state';
import type { Scaling } from '../model/types';
import { pathOf, useAct, type Acting } from './hooks';

/** A limit that is edited here: its name on the wire, its word, and what it means. */
const LIMITS = [
  ['minContainers', 'min', '', 'Replicas that are always there'],
  ['maxContainers', 'max', '', 'Replicas at most'],
  ['bufferContainers', 'buffer', '', 'Idle replicas kept ready while it is called'],
  ['scaledownWindowSeconds', 'idle', 's', 'Seconds without a call until a replica may stop']
] as const;

type Limit = (typeof LIMITS)[number][0];

/** After the last key: half a number is not applied. */
export const PAUSE_MS = 600;

/** The limits, edited live: what is typed is applied after a moment, or at once by Enter. */
export function ScalingForm({ feed, one }: { feed: Feed; one: FunctionState }) {
  const acting = useAct(feed);
  const [draft, setDraft] = useState<Partial<Record<Limit, string>>>({});
  const { scaling } = one.view.settings;
  const fault = faultOf(draft);
  const apply = async () => {
    if (fault !== '') return;
    const changes = changesOf(draft, scaling);
    if (Object.keys(changes).length === 0) {
      setDraft({});
      return;
    }
    const answer = await acting.act('PATCH', pathOf(one, '/scaling'), changes);
    if (answer.status >= 200 && answer.status < 300) setDraft({});
  };
  useEffect(() => {
    if (Object.keys(draft).length === 0) return;
    const timer = setTimeout(() => void apply(), PAUSE_MS);
    return () => clearTimeout(timer);
  }, [draft]);
  return (
    <form
      class="faas-scaling"
      onSubmit={event => {
        event.preventDefault();
        void apply();
      }}
    >
      {LIMITS.map(([limit, word, unit, meaning]) => (
        <label key={limit} title={meaning}>
          {word}
          <input
            type="number"
            min={0}
            step={unit === 's' ? 'any' : 1}
            value={draft[limit] ?? String(scaling[limit])}
            onInput={event => setDraft({ ...draft, [limit]: event.currentTarget.value })}
          />
          {unit}
        </label>
      ))}
      <button type="submit" hidden />
      <Outcome acting={acting} fault={fault} />
    </form>
  );
}

/** How the newest action went: `applied ✓`, or why not. */
export function Outcome({ acting, fault = '' }: { acting: Acting; fault?: string }) {
  const { isWaiting, isDone, problem } = acting;
  const text = fault || problem;
  return (
    <span class={text === '' ? 'faas-outcome' : 'faas-outcome faas-bad'} role="status">
      {text !== '' ? text : isWaiting ? '…' : isDone ? 'applied ✓' : ''}
    </span>
  );
}

/** Return what is to be changed. */
export function changesOf(
  draft: Partial<Record<Limit, string>>,
  scaling: Scaling
): Partial<Record<Limit, number>> {
  const changed = Object.entries(draft).map(([limit, text]) => [limit, Number(text)] as const);
  return Object.fromEntries(changed.filter(([limit, value]) => scaling[limit as Limit] !== value));
}

function faultOf(draft: Partial<Record<Limit, string>>): string {
  const bad = LIMITS.find(([limit]) => draft[limit] !== undefined && !isNumber(draft[limit]));
  return bad === undefined ? '' : `${bad[1]}: a number from 0 on.`;
}

function isNumber(text: string): boolean {
  return text.trim() !== '' && Number.isFinite(Number(text)) && Number(text) >= 0;
}
