import { useState } from 'preact/hooks';
import type { Feed } from '../connection/feed';
import { blocks, count, duration, exact, perSecond, plural } from '../model/format';
import { canRetry, leftS, shareOf, type ShownMap } from '../model/maps';
import { useAct } from './hooks';
import { memo } from './memo';

interface MapsProps {
  readonly feed: Feed;
  readonly maps: readonly ShownMap[];
}

/** Maps that run: how far, how fast, what failed, what each worker does; and the way to end them. */
export function Maps({ feed, maps }: MapsProps) {
  return (
    <ul class="faas-maps" aria-label="maps">
      {maps.map(one => (
        <MapLine key={one.id} feed={feed} one={one} />
      ))}
    </ul>
  );
}

const MapLine = memo(function MapLine({ feed, one }: { feed: Feed; one: ShownMap }) {
  const acting = useAct(feed);
  const ask = (method: string, part = '') => {
    const asked = new URLSearchParams({ namespace: one.namespace });
    void acting.act(method, `v1/maps/${encodeURIComponent(one.id)}${part}?${asked.toString()}`);
  };
  return (
    <li class="faas-map" data-state={one.state}>
      <div class="faas-map-line">
        <b class="faas-map-name" title={`${one.id}, began ${exact(one.startedAt)}`}>
          {one.function}
        </b>
        <Bar one={one} />
        <span>
          {count(one.done)}
          {one.total !== null && `/${count(one.total)}`}
        </span>
        {one.failed > 0 && <span class="faas-bad">{count(one.failed)} failed</span>}
        {one.state !== 'running' && <span class="faas-quiet">{ENDS[one.state]}</span>}
        {canRetry(one) && (
          <button
            type="button"
            class="faas-map-cancel"
            disabled={acting.isWaiting}
            aria-label={`retry what failed of the map of ${one.function}`}
            title="Run again what failed, and what never ran; what is done stays."
            onClick={() => ask('POST', '/retry')}
          >
            retry
          </button>
        )}
      </div>
      {one.state === 'running' && <Work one={one} onCancel={() => ask('DELETE')} />}
      {one.note !== '' && <p class="faas-quiet faas-map-note">{one.note}</p>}
      {acting.problem !== '' && <p class="faas-bad" role="alert">{acting.problem}</p>}
    </li>
  );
});

const ENDS = { done: '✓ done', failed: '✕ failed', cancelled: 'cancelled' };

function Bar({ one }: { one: ShownMap }) {
  const share = shareOf(one);
  const percent = share === null ? undefined : Math.floor(share * 100);
  const words = percent === undefined ? `${count(one.done)} done` : `${percent} %`;
  return (
    <>
      <span
        class="faas-map-bar"
        role="progressbar"
        aria-label={`map of ${one.function}`}
        aria-valuemin={0}
        aria-valuemax={100}
        aria-valuenow={percent}
        aria-valuetext={words}
      >
        {share !== null && <span style={{ width: `${share * 100}%` }} />}
      </span>
      <span class="faas-number faas-map-share">{percent === undefined ? '' : words}</span>
    </>
  );
}

/** How long it takes yet, and what each worker does: one block each, as high as it is busy. */
function Work({ one, onCancel }: { one: ShownMap; onCancel: () => void }) {
  const { workers, slowest, engine, rate } = one;
  const busy = workers.reduce((sum, share) => sum + share, 0) / Math.max(1, workers.length);
  const told = `${plural(workers.length, 'worker')}, ${Math.round(busy * 100)} % busy`;
  const left = leftS(one);
  return (
    <div class="faas-map-line faas-quiet">
      {left !== null && <span>{left < 60 ? `${Math.ceil(left)} s` : duration(left)} left</span>}
      <span>{perSecond(rate)}</span>
      <span>{engine === 'ray' ? 'on Ray' : 'on replicas'}</span>
      {workers.length > 0 && (
        <span class="faas-map-strip" role="img" aria-label={told} title={told}>
          {blocks(workers)}
        </span>
      )}
      {slowest !== null && slowest[1] >= 1 && (
        <span>
          slowest item {duration(slowest[1])} (#{slowest[0]})
        </span>
      )}
      <Cancel name={one.function} onCancel={onCancel} />
    </div>
  );
}

/** Ends a map when pressed twice: hours of work should not hang on one click. */
function Cancel({ name, onCancel }: { name: string; onCancel: () => void }) {
  const [isAsking, setAsking] = useState(false);
  return (
    <button
      type="button"
      class={isAsking ? 'faas-map-cancel faas-danger' : 'faas-map-cancel'}
      aria-label={isAsking ? `press again to cancel the map of ${name}` : `cancel the map of ${name}`}
      title={isAsking ? 'Press again: it ends, what is done is lost unless the map is kept.' : 'Cancel it'}
      onClick={() => {
        if (isAsking) onCancel();
        setAsking(!isAsking);
      }}
      onBlur={() => setAsking(false)}
    >
      {isAsking ? 'cancel?' : '✕'}
    </button>
  );
}
