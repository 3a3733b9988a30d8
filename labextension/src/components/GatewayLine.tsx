import type { Feed } from '../connection/feed';
import type { GatewayStatus } from '../model/types';
import { useFeedState } from './hooks';

/** What is to be known of the connection; nothing while all is well. */
export function GatewayLine({ feed }: { feed: Feed }) {
  const { gateway } = useFeedState(feed);
  const words = [gatewayWords(gateway), feed.transport.actsWait ? WAITING : ''].filter(one => one !== '');
  return (
    <p class="faas-gateway-line" role="status">
      {words.join(' · ')}
    </p>
  );
}

const WAITING = 'through the kernel: actions wait for the running cell';

/** Return what a state other than live means for who reads it. */
export function gatewayWords({ state, reason }: GatewayStatus): string {
  switch (state) {
    case 'live':
      return '';
    case 'asleep':
      return `asleep: ${reason || 'shown as it was; it starts with the next call or change'}`;
    case 'none':
      return `no gateway yet: ${reason || 'it starts with the first call'}`;
    case 'connecting':
      return '◌ connecting…';
    case 'reconnecting':
      return `◌ reconnecting… ${reason}`.trim();
  }
}
