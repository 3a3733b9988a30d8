/** How a page hears of the gateway and acts on it: the server's WebSocket, or a widget's comm. */

import type { ServerMessage } from '../model/types';

/** What a page wants to see beside the state; the latest wish replaces the one before. */
export interface Wish {
  /** Functions whose single calls are shown. */
  readonly calls: readonly string[];
  /** Functions whose output is followed. */
  readonly logs: readonly string[];
  readonly max_hz: number;
}

/** What an action was answered. */
export interface Answer {
  /** HTTP status; 0: there was no answer, `body` says why. */
  readonly status: number;
  /** JSON, or a problem document. */
  readonly body: unknown;
  /** `Faas-*` headers by lower-case name, where there are any. */
  readonly headers: Readonly<Record<string, string>>;
}

export interface Transport {
  /** Say what this page wants to see; null: nothing of it is displayed, nothing is sent. */
  watch(wish: Wish | null): void;
  /**
   * Do something at the gateway.
   *
   * @param path Relative to the gateway: `v1/functions/score/scaling`.
   * @returns Never rejects: a lost connection is an answer of status 0.
   */
  act(method: string, path: string, body?: unknown): Promise<Answer>;
  /** Listen; the result stops it. */
  onMessage(listen: (message: ServerMessage) => void): () => void;
  dispose(): void;
  /** Whether actions wait for the running cell: they go through the kernel. */
  readonly actsWait: boolean;
}

export const STATE_ONLY: Wish = { calls: [], logs: [], max_hz: 4 };

/** Return the sentence a person reads if an action was refused; empty: it was done. */
export function problemOf(answer: Answer): string {
  if (answer.status >= 200 && answer.status < 300) return '';
  const body = answer.body;
  if (typeof body === 'object' && body !== null) {
    for (const key of ['detail', 'title', 'message'] as const) {
      const text = (body as Record<string, unknown>)[key];
      if (typeof text === 'string' && text !== '') return text;
    }
  }
  if (answer.status === 0) return typeof body === 'string' ? body : 'The server cannot be reached.';
  return `The gateway answered ${answer.status}.`;
}
