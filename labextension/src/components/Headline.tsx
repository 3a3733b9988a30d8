import type { ComponentChildren } from 'preact';
import type { Feed } from '../connection/feed';
import { count, memoryTime, milliseconds } from '../model/format';
import { living, type FunctionState } from '../model/state';
import type { Counts, Scaled } from '../model/types';
import { percents } from '../model/traffic';
import { duration } from '../model/format';
import { Dots, MARKS } from './Dots';
import { useNow } from './hooks';
import { Lines } from './Lines';
import { Ago } from './Time';

interface HeadProps {
  readonly one: FunctionState;
  readonly back?: ComponentChildren;
  readonly menu: ComponentChildren;
}

/** Name, state, and which revisions are called. */
export function Head({ one, back, menu }: HeadProps) {
  const { name, state } = one.view;
  const isAsleep = state === 'ready' && one.replicas.length === 0;
  const word = isAsleep ? 'ready, no replica: the next call starts one' : state;
  return (
    <header class="faas-head">
      {back}
      <h2>{name}</h2>
      <span class={`faas-state faas-state-${state}`}>
        {state === 'failed' ? '✕ failed' : word}
      </span>
      <span class="faas-head-revision">{revisionWords(one)}</span>
      {menu}
    </header>
  );
}

/** Dots, limits and lines. */
export function Load({ feed, one }: { feed: Feed; one: FunctionState }) {
  const { minContainers, maxContainers } = one.view.settings.scaling;
  return (
    <div class="faas-load">
      <div class="faas-box faas-replicas">
        <span class="faas-box-title">replicas</span>
        {one.replicas.length > 0 ? <Dots replicas={one.replicas} /> : <span class="faas-quiet">none</span>}
        <span class="faas-quiet">
          {count(living(one.replicas))} of {minContainers}–{maxContainers}
        </span>
      </div>
      <div class="faas-box">
        <span class="faas-box-title">last 5 minutes</span>
        <Lines feed={feed} history={one.history} />
      </div>
    </div>
  );
}

/** Why replicas wait or have been lost, one line per reason. */
export function Reasons({ feed, one }: { feed: Feed; one: FunctionState }) {
  const told = one.replicas.filter(({ state, reason }) => reason !== '' && state !== 'ready');
  const nowS = useNow(feed, told.length > 0 ? 1000 : 0);
  const byReason = new Map(told.map(replica => [`${replica.state} ${replica.reason}`, replica]));
  return (
    <div role="status">
      {one.view.reason !== '' && <p class="faas-reason">{one.view.reason}</p>}
      {[...byReason].map(([key, { state, reason, startedAt }]) => (
        <p key={key} class="faas-reason">
          {MARKS[state]} {state === 'starting' ? `waiting ${duration(nowS - startedAt)}` : state}: {reason}
        </p>
      ))}
    </div>
  );
}

/** The autoscaler's last decision, with its reason. */
export function Decision({ feed, one }: { feed: Feed; one: FunctionState }) {
  const { scaled, traffic, latest } = one.view;
  if (scaled === null) return null;
  const isAlone = scaled.revision === latest && Object.keys(traffic).length <= 1;
  return (
    <p class="faas-decision">
      {!isAlone && `revision ${scaled.revision}: `}
      {scaled.before} → {scaled.after}, <Ago feed={feed} at={scaled.at} />: {reasonOf(scaled)}
    </p>
  );
}

/** Since when calls are counted: one gateway keeps its counts, those of a cluster do not. */
export function sinceWords(provider: string): string {
  return provider === 'kubernetes' ? 'since the gateways started' : 'since it was deployed';
}

/** What has been called, how it ended, how long it took, what it cost. */
export function Totals({ counts, since }: { counts: Counts; since: string }) {
  const { accepted, errors, userErrors, coldStarts, cancelled, dead, rejected } = counts;
  const isShown = ([, value]: [string, string] | [string, number]) => value !== 0;
  const rest = [['cancelled', cancelled], ['given up', dead], ['turned away', rejected], ['map items', counts.items ?? 0]] as [string, number][];
  const pairs: [string, string][] = [
    ['calls', count(accepted)],
    ['errors', errors === 0 ? '0' : `${count(errors)} (user ${userErrors}, platform ${errors - userErrors})`],
    ['p50', milliseconds(counts.p50Milliseconds)],
    ['p95', milliseconds(counts.p95Milliseconds)],
    ['cold', count(coldStarts)],
    ...rest.filter(isShown).map(([word, value]): [string, string] => [word, count(value)]),
    ['cost', memoryTime(counts.memoryMebibyteSeconds)]
  ];
  return (
    <p class="faas-totals" title={since}>
      {pairs.map(([word, value]) => (
        <span
          key={word}
          class={word === 'errors' && errors > 0 ? 'faas-bad' : undefined}
          title={word === 'cost' ? `memory limit × run time of ended calls and items of maps, ${since}` : undefined}
        >
          <span class="faas-quiet">{word}</span> {value}
        </span>
      ))}
    </p>
  );
}

/** Return `revision 4 · 100 %`, or the shares of all that are called. */
export function revisionWords({ view }: FunctionState): string {
  const shares = Object.entries(percents(view.traffic)).sort(([, one], [, other]) => other - one);
  if (shares.length === 0) return `revision ${view.latest}`;
  return shares.map(([number, share]) => `revision ${number} · ${share} %`).join(', ');
}

/** Return the same in short, for a table: `4 · 90 %, 3 · 10 %`. */
export function sharesWords(one: FunctionState): string {
  return revisionWords(one).replaceAll('revision ', '');
}

/** Return the reason of a decision without the counts it begins with: they are shown already. */
export function reasonOf({ reason }: Scaled): string {
  return reason.replace(/^\d+ → \d+: /, '');
}
