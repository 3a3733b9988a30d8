/**
 * One source of state for all views of a page: joins their wishes, counts who is displayed, and
 * lets the connection rest while nobody is or the page is hidden.
 */

import { Store, type Surroundings } from '../model/store';
import { STATE_ONLY, type Transport, type Wish } from './transport';

/** What one view wants to see. */
export interface Interest {
  readonly calls?: readonly string[];
  readonly logs?: readonly string[];
}

/** A view that is displayed. */
export interface Watching {
  /** Want something else from now on. */
  change(interest: Interest): void;
  /** It is no longer displayed. */
  close(): void;
}

export class Feed {
  readonly store: Store;
  private readonly interests = new Map<object, Interest>();
  private readonly stop: () => void;
  private isVisible = true;
  private said = 'null';

  constructor(
    readonly transport: Transport,
    around: Surroundings
  ) {
    this.store = new Store(around);
    this.stop = transport.onMessage(message => this.store.dispatch(message));
  }

  /** Note that a view is displayed; it is fed until it is closed. */
  watch(interest: Interest = {}): Watching {
    const view = {};
    this.interests.set(view, interest);
    this.say();
    return {
      change: wanted => {
        if (!this.interests.has(view)) return;
        this.interests.set(view, wanted);
        this.say();
      },
      close: () => {
        this.interests.delete(view);
        this.say();
      }
    };
  }

  /** Note whether the page can be seen at all. */
  setVisible(isVisible: boolean): void {
    this.isVisible = isVisible;
    this.say();
  }

  dispose(): void {
    this.stop();
    this.interests.clear();
    this.transport.dispose();
  }

  private say(): void {
    const wish = this.interests.size > 0 && this.isVisible ? this.wish() : null;
    const text = JSON.stringify(wish);
    if (text === this.said) return;
    this.said = text;
    this.transport.watch(wish);
  }

  private wish(): Wish {
    const all = [...this.interests.values()];
    const joined = (lists: (readonly string[])[]) => [...new Set(lists.flat())].sort();
    return {
      ...STATE_ONLY,
      calls: joined(all.map(one => one.calls ?? [])),
      logs: joined(all.map(one => one.logs ?? []))
    };
  }
}

/** Return clock and frames of a browser. */
export function browser(): Surroundings {
  return {
    now: () => Date.now() / 1000,
    frame: call => requestAnimationFrame(call),
    later: (call, ms) => setTimeout(call, ms)
  };
}

/** Let a feed rest while its page is hidden (another tab is in front); the result ends that. */
export function restWhileHidden(feed: Feed, page: Document, afterMs = 5000): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const look = () => {
    clearTimeout(timer);
    if (page.visibilityState === 'visible') feed.setVisible(true);
    else timer = setTimeout(() => feed.setVisible(false), afterMs);
  };
  page.addEventListener('visibilitychange', look);
  look();
  return () => {
    clearTimeout(timer);
    page.removeEventListener('visibilitychange', look);
  };
}
