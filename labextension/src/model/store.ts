/**
 * Holds the state of a page and tells when it has changed: once for all messages that arrive
 * before the next frame. No DOM: clock and frames are given.
 */

import { apply, EMPTY, isFleeting, keyOf, pruned, withCalls, type State } from './state';
import type { Call, ServerMessage } from './types';

export interface Surroundings {
  /** Wall clock, seconds. */
  readonly now: () => number;
  /** Calls back before the next picture is drawn. */
  readonly frame: (call: () => void) => void;
  /** Calls back after so many milliseconds. */
  readonly later: (call: () => void, ms: number) => void;
}

export class Store {
  private current = EMPTY;
  private readonly listeners = new Set<() => void>();
  private isAwaited = false;
  private isPruning = false;

  constructor(private readonly around: Surroundings) {}

  get state(): State {
    return this.current;
  }

  /** Listen to changes; the result stops it. */
  subscribe(listen: () => void): () => void {
    this.listeners.add(listen);
    return () => this.listeners.delete(listen);
  }

  dispatch(message: ServerMessage): void {
    this.become(apply(this.current, message, this.around.now()));
  }

  /** Add calls that were asked for: those from before this page watched. */
  addCalls(namespace: string, name: string, calls: readonly Call[]): void {
    const key = keyOf(namespace, name);
    const one = this.current.functions.get(key);
    if (one === undefined) return;
    const functions = new Map(this.current.functions);
    functions.set(key, { ...one, calls: withCalls(one.calls, calls) });
    this.become({ ...this.current, functions });
  }

  private become(state: State): void {
    if (state === this.current) return;
    this.current = state;
    this.pruneLater();
    if (this.isAwaited) return;
    this.isAwaited = true;
    this.around.frame(() => {
      this.isAwaited = false;
      for (const listen of [...this.listeners]) listen();
    });
  }

  private pruneLater(): void {
    if (this.isPruning || !isFleeting(this.current)) return;
    this.isPruning = true;
    this.around.later(() => {
      this.isPruning = false;
      this.become(pruned(this.current, this.around.now()));
      this.pruneLater();
    }, 1000);
  }
}
