/** What the status bar says. Pure. */

import { plural } from '../../model/format';
import { living, type State } from '../../model/state';

export function statusText(state: State): { text: string; title: string } {
  const functions = [...state.functions.values()];
  const replicas = functions.reduce((sum, one) => sum + living(one.replicas), 0);
  const counted = `${plural(functions.length, 'function')}, ${plural(replicas, 'replica')}`;
  const { gateway } = state;
  switch (gateway.state) {
    case 'none':
      return { text: 'λ none running', title: 'No gateway is running: it starts with the first call.' };
    case 'live':
      return { text: `λ ${gateway.provider} · ${counted}`, title: `Gateway at ${gateway.url}: show functions` };
    default:
      return { text: `λ ${gateway.state} · ${counted}`, title: gateway.reason || 'Show functions' };
  }
}
