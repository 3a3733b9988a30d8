/** What components need of the outside: state, time, and acting at the gateway. */

import { createContext } from 'preact';
import { useCallback, useContext, useEffect, useRef, useState } from 'preact/hooks';
import type { Feed, Interest, Watching } from '../connection/feed';
import { problemOf, type Answer } from '../connection/transport';
import type { Maps } from '../model/maps';
import { find, gatewayTime, type FunctionState, type State } from '../model/state';

/** Whether what is drawn can be seen: not in a hidden tab, not scrolled away. */
export const Displayed = createContext(true);

/** Return the state of a feed; drawn anew when it has changed, and not while nobody can see it. */
export function useFeedState(feed: Feed): State {
  const isDisplayed = useContext(Displayed);
  const [state, setState] = useState(feed.store.state);
  useEffect(() => {
    if (!isDisplayed) return;
    setState(feed.store.state);
    return feed.store.subscribe(() => setState(feed.store.state));
  }, [feed, isDisplayed]);
  // What has just come into sight is right at once: keys may look for it already.
  return isDisplayed ? feed.store.state : state;
}

/** Return one function; drawn anew only when something about it has changed. */
export function useFunction(feed: Feed, name: string, namespace?: string): FunctionState | undefined {
  const isDisplayed = useContext(Displayed);
  const read = () => find(feed.store.state, name, namespace);
  const [one, setOne] = useState(read);
  useEffect(() => {
    if (!isDisplayed) return;
    setOne(read());
    return feed.store.subscribe(() => setOne(read()));
  }, [feed, name, namespace, isDisplayed]);
  return isDisplayed ? read() : one;
}

/** Return the maps; drawn anew only when one of them has changed. */
export function useMaps(feed: Feed): Maps {
  const isDisplayed = useContext(Displayed);
  const [maps, setMaps] = useState(feed.store.state.maps);
  useEffect(() => {
    if (!isDisplayed) return;
    setMaps(feed.store.state.maps);
    return feed.store.subscribe(() => setMaps(feed.store.state.maps));
  }, [feed, isDisplayed]);
  return maps;
}

/** Want to see something while this is displayed. */
export function useInterest(feed: Feed, interest: Interest): void {
  const isDisplayed = useContext(Displayed);
  const watching = useRef<Watching | null>(null);
  const text = JSON.stringify(interest);
  useEffect(() => {
    if (!isDisplayed) return;
    const view = feed.watch(JSON.parse(text) as Interest);
    watching.current = view;
    return () => {
      watching.current = null;
      view.close();
    };
  }, [feed, isDisplayed]);
  useEffect(() => watching.current?.change(JSON.parse(text) as Interest), [text]);
}

/** Return the gateway's wall clock in seconds; drawn anew every `ms`, 0: only with the rest. */
export function useNow(feed: Feed, ms: number): number {
  const isDisplayed = useContext(Displayed);
  const [, setTick] = useState(0);
  useEffect(() => {
    if (!isDisplayed || ms === 0) return;
    const timer = setInterval(() => setTick(tick => tick + 1), ms);
    return () => clearInterval(timer);
  }, [isDisplayed, ms]);
  return gatewayTime(feed.store.state, Date.now() / 1000);
}

export interface Acting {
  /** Do something; what becomes of it is in the other fields. */
  readonly act: (method: string, path: string, body?: unknown) => Promise<Answer>;
  readonly isWaiting: boolean;
  /** The newest one was done. */
  readonly isDone: boolean;
  /** Why the newest one was not done: a sentence. */
  readonly problem: string;
}

/** Return how to act at the gateway, and how the newest action went. */
export function useAct(feed: Feed): Acting {
  const [shown, setShown] = useState({ isWaiting: false, isDone: false, problem: '' });
  const newest = useRef(0);
  const act = useCallback(
    async (method: string, path: string, body?: unknown) => {
      const mine = ++newest.current;
      setShown({ isWaiting: true, isDone: false, problem: '' });
      const answer = await feed.transport.act(method, path, body);
      const problem = problemOf(answer);
      if (mine === newest.current) setShown({ isWaiting: false, isDone: problem === '', problem });
      return answer;
    },
    [feed]
  );
  useEffect(() => {
    if (!shown.isDone) return;
    const timer = setTimeout(() => setShown(one => ({ ...one, isDone: false })), 4000);
    return () => clearTimeout(timer);
  }, [shown.isDone]);
  return { act, ...shown };
}

/** Return the path of a function in the control API. */
export function pathOf(one: FunctionState, rest = ''): string {
  const { name, namespace } = one.view;
  const [path, query] = rest.split('?');
  const asked = new URLSearchParams(query);
  asked.set('namespace', namespace);
  return `v1/functions/${encodeURIComponent(name)}${path ?? ''}?${asked.toString()}`;
}
