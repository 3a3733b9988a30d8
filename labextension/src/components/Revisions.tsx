import { useEffect, useState } from 'preact/hooks';
import type { Feed } from '../connection/feed';
import { day, exact } from '../model/format';
import type { FunctionState } from '../model/state';
import { moved, percents, type Weights } from '../model/traffic';
import type { Origin, RevisionBrief, RevisionView } from '../model/types';
import { pathOf, useAct, useNow } from './hooks';
import { Outcome } from './Scaling';

const SHOWN = 5;
/** After the last movement of a slider. */
export const PAUSE_MS = 350;

interface RevisionsProps {
  readonly feed: Feed;
  readonly one: FunctionState;
  /** All that is known of them, as far as it has been read. */
  readonly views: readonly RevisionView[];
}

/** Revisions with their shares of traffic, and the way back. */
export function Revisions({ feed, one, views }: RevisionsProps) {
  const acting = useAct(feed);
  const nowS = useNow(feed, 60_000);
  const [isAll, setAll] = useState(false);
  const [draft, setDraft] = useState<Weights | null>(null);
  useEffect(() => {
    if (draft === null) return;
    const timer = setTimeout(() => {
      void acting.act('PUT', pathOf(one, '/traffic'), { traffic: draft }).then(() => setDraft(null));
    }, PAUSE_MS);
    return () => clearTimeout(timer);
  }, [draft]);
  const shares = draft ?? percents(one.view.traffic);
  const live = Object.keys(shares).length;
  const rows = isAll ? one.revisions : one.revisions.filter(shownAtFirst(shares));
  return (
    <div class="faas-revisions">
      {rows.map(brief => (
        <Row
          key={brief.number}
          brief={brief}
          changes={views.find(view => view.number === brief.number)?.changes ?? []}
          share={shares[String(brief.number)] ?? 0}
          isOnly={live === 1}
          nowS={nowS}
          onShare={percent => setDraft(moved(shares, String(brief.number), percent))}
          onRollback={() => void acting.act('POST', pathOf(one, '/rollback'), { to: brief.number })}
        />
      ))}
      {rows.length < one.revisions.length && (
        <button type="button" class="faas-link" onClick={() => setAll(true)}>
          show all {one.revisions.length}
        </button>
      )}
      <Outcome acting={acting} />
    </div>
  );
}

interface RowProps {
  readonly brief: RevisionBrief;
  readonly changes: readonly string[];
  readonly share: number;
  readonly isOnly: boolean;
  readonly nowS: number;
  readonly onShare: (percent: number) => void;
  readonly onRollback: () => void;
}

function Row({ brief, changes, share, isOnly, nowS, onShare, onRollback }: RowProps) {
  const { number, state, createdAt, origin } = brief;
  const isReady = state === 'ready';
  const isWhole = share > 0 && isOnly;
  return (
    <div class="faas-revision">
      <b>{number}</b>
      {isReady ? (
        <Slider number={number} share={share} isWhole={isWhole} onShare={onShare} />
      ) : (
        <NotReady brief={brief} />
      )}
      <span class="faas-number">{share > 0 ? `${share} %` : ''}</span>
      <time title={exact(createdAt)}>{day(createdAt, nowS)}</time>
      <span class="faas-origin" title={originWords(origin)}>
        {changes.length > 0 ? [...cellWords(origin), changes.join(', ')].join(' · ') : originWords(origin)}
      </span>
      {share > 0 ? <span class="faas-live">live</span> : null}
      {isReady && !isWhole && (
        <button type="button" onClick={onRollback} aria-label={`roll back to revision ${number}`}>
          roll back
        </button>
      )}
    </div>
  );
}

interface SliderProps {
  readonly number: number;
  readonly share: number;
  readonly isWhole: boolean;
  readonly onShare: (percent: number) => void;
}

function Slider({ number, share, isWhole, onShare }: SliderProps) {
  return (
    <input
      type="range"
      min={0}
      max={100}
      value={share}
      disabled={isWhole}
      aria-label={`traffic of revision ${number}`}
      aria-valuetext={`${share} %`}
      title={isWhole ? 'It is the only one: give another revision its share.' : `${share} %`}
      onInput={event => onShare(Number(event.currentTarget.value))}
    />
  );
}

function NotReady({ brief: { state, reason } }: { brief: RevisionBrief }) {
  if (state !== 'failed') return <span class="faas-quiet">◌ starting</span>;
  return (
    <span class="faas-bad" title={reason}>
      ✕ {reason || 'failed'}
    </span>
  );
}

/** Return the revisions of a function in full, read anew when there are others. */
export function useRevisionViews(feed: Feed, one: FunctionState | undefined): readonly RevisionView[] {
  const [views, setViews] = useState<readonly RevisionView[]>([]);
  const known = one?.revisions.map(({ number, id }) => `${number} ${id}`).join();
  useEffect(() => {
    if (one === undefined) return;
    let isWanted = true;
    void feed.transport.act('GET', pathOf(one, '/revisions')).then(({ status, body }) => {
      if (isWanted && status === 200) setViews((body as { revisions?: RevisionView[] }).revisions ?? []);
    });
    return () => {
      isWanted = false;
    };
  }, [feed, known]);
  return views;
}

function shownAtFirst(shares: Weights): (brief: RevisionBrief, index: number) => boolean {
  return (brief, index) => index < SHOWN || (shares[String(brief.number)] ?? 0) > 0;
}

function originWords(origin: Origin): string {
  const file = origin.notebook.split('/').at(-1) ?? '';
  return [...cellWords(origin), file, origin.owner].filter(word => word !== '').join(' · ');
}

function cellWords({ cellNumber = 0 }: Origin): string[] {
  return cellNumber > 0 ? [`cell ${cellNumber}`] : [];
}
