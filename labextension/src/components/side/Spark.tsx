import type { Feed } from '../../connection/feed';
import { isMoving, steps, type History } from '../../model/history';
import { useNow } from '../hooks';
import { steppedPath } from '../Lines';

const WIDTH = 48;
const HEIGHT = 14;

/** What was in flight over the last minutes, in the height of a line of text. */
export function Spark({ feed, history }: { feed: Feed; history: History }) {
  const nowS = useNow(feed, isMoving(history, Date.now() / 1000) ? 5000 : 0);
  const path = steppedPath(steps(history, 'inFlight', nowS), WIDTH, HEIGHT);
  return (
    <svg class="faas-spark" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} aria-hidden="true">
      <path d={path || `M0 ${HEIGHT - 1}H${WIDTH}`} />
    </svg>
  );
}
