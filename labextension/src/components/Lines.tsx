import type { Feed } from '../connection/feed';
import { count } from '../model/format';
import { isMoving, steps, WINDOW_S, type History, type Measure } from '../model/history';
import { useNow } from './hooks';

const WORDS: Readonly<Record<Measure, string>> = {
  inFlight: 'in flight',
  queued: 'queued',
  replicas: 'replicas'
};

/** Lines of in flight, queued and replicas over the last five minutes. */
export function Lines({ feed, history }: { feed: Feed; history: History }) {
  const nowS = Date.now() / 1000;
  useNow(feed, isMoving(history, nowS) ? 2000 : 0);
  return (
    <div class="faas-lines">
      {(Object.keys(WORDS) as Measure[]).map(measure => (
        <Line key={measure} measure={measure} points={steps(history, measure, nowS)} />
      ))}
    </div>
  );
}

interface LineProps {
  readonly measure: Measure;
  readonly points: readonly (readonly [number, number])[];
}

const WIDTH = 150;
const HEIGHT = 30;

function Line({ measure, points }: LineProps) {
  const now = points.at(-1)?.[1] ?? 0;
  const most = Math.max(0, ...points.map(([, value]) => value));
  const path = steppedPath(points, WIDTH, HEIGHT);
  const word = WORDS[measure];
  return (
    <figure class="faas-line">
      <figcaption>
        {word} <b>{count(now)}</b>
        {most > now && <span class="faas-quiet"> of {count(most)}</span>}
      </figcaption>
      <svg
        class={`faas-line-${measure}`}
        viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
        preserveAspectRatio="none"
        role="img"
        aria-label={`${word}: ${count(now)} now, at most ${count(most)} in the last 5 minutes`}
      >
        {path !== '' && <path class="faas-area" d={`${path}V${HEIGHT}H${startOf(points)}Z`} />}
        <path class="faas-stroke" d={path} />
      </svg>
    </figure>
  );
}

/** Return steps as an SVG path: flat to the next change, then up or down. */
export function steppedPath(
  points: readonly (readonly [number, number])[],
  width: number,
  height: number
): string {
  const most = Math.max(1, ...points.map(([, value]) => value));
  const x = (at: number) => ((at / WINDOW_S) * width).toFixed(1);
  const y = (value: number) => (height - 1 - (value / most) * (height - 3)).toFixed(1);
  return points
    .map(([at, value], index) => (index === 0 ? `M${x(at)} ${y(value)}` : `H${x(at)}V${y(value)}`))
    .join('');
}

function startOf(points: readonly (readonly [number, number])[]): string {
  return (((points[0]?.[0] ?? 0) / WINDOW_S) * WIDTH).toFixed(1);
}
