import type { Feed } from '../connection/feed';
import { ago, exact } from '../model/format';
import { useNow } from './hooks';

/** How long ago something was, the exact time in the tooltip. */
export function Ago({ feed, at }: { feed: Feed; at: number }) {
  const nowS = useNow(feed, 1000);
  return (
    <time dateTime={at > 0 ? new Date(at * 1000).toISOString() : undefined} title={exact(at)}>
      {ago(at, nowS)}
    </time>
  );
}
