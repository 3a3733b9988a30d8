/**
 * The way through the Jupyter server: state and events by one WebSocket per page, actions by
 * requests. Both go through the server extension, which has the gateway's token.
 */

import type { GatewayStatus, ServerMessage } from '../model/types';
import type { Answer, Transport, Wish } from './transport';

export const HEARTBEAT_MS = 20_000;
/** Something has to come within, once it was asked for: a dead connection says nothing of itself. */
export const PATIENCE_MS = 10_000;
/** The same, where there is reason to think that it is dead. */
export const DOUBT_MS = 3_000;
export const FIRST_DELAY_MS = 250;
export const LONGEST_DELAY_MS = 5_000;
/** Between tries of a request that only reads. */
export const READ_DELAYS_MS: readonly number[] = [200, 1_000];

/** What the page gives: JupyterLab knows addresses, tokens and cookies. */
export interface Server {
  /** Open the WebSocket `jupyter-faas/api/events`. */
  open(): WebSocket;
  /** Make a request below `jupyter-faas/api/`, with XSRF token and credentials. */
  request(path: string, init: RequestInit): Promise<Response>;
}

const UNREACHABLE: GatewayStatus = {
  state: 'reconnecting',
  provider: '',
  url: '',
  version: '',
  reason: 'The Jupyter server cannot be reached: trying again.'
};

const UNANSWERED: Answer = { status: 0, body: 'The Jupyter server cannot be reached.', headers: {} };

export class SocketTransport implements Transport {
  readonly actsWait = false;
  private readonly listeners = new Set<(message: ServerMessage) => void>();
  private socket: WebSocket | undefined;
  private wish: Wish | null = null;
  private delayMs = FIRST_DELAY_MS;
  private retry: ReturnType<typeof setTimeout> | undefined;
  private heartbeat: ReturnType<typeof setInterval> | undefined;
  private patience: ReturnType<typeof setTimeout> | undefined;

  constructor(private readonly server: Server) {}

  watch(wish: Wish | null): void {
    this.wish = wish;
    if (wish === null) this.close();
    else if (this.socket === undefined) this.connect();
    else this.sayWish();
  }

  async act(method: string, path: string, body?: unknown): Promise<Answer> {
    const init: RequestInit = { method };
    if (body !== undefined) {
      init.body = JSON.stringify(body);
      init.headers = { 'Content-Type': 'application/json' };
    }
    // A network that changes cuts what is under way; to read twice does no harm.
    const delaysMs = method === 'GET' ? [...READ_DELAYS_MS] : [];
    for (;;) {
      try {
        return await answerOf(await this.server.request(path, init));
      } catch {
        const delayMs = delaysMs.shift();
        if (delayMs === undefined) return UNANSWERED;
        await new Promise(resolve => setTimeout(resolve, delayMs));
      }
    }
  }

  /** The network may be another one: see at once whether the server still hears this page. */
  look(): void {
    if (this.wish === null) return;
    if (this.socket === undefined) this.connect();
    else this.ask(DOUBT_MS);
  }

  onMessage(listen: (message: ServerMessage) => void): () => void {
    this.listeners.add(listen);
    return () => this.listeners.delete(listen);
  }

  dispose(): void {
    this.wish = null;
    this.close();
    this.listeners.clear();
  }

  private connect(): void {
    clearTimeout(this.retry);
    const socket = this.server.open();
    this.socket = socket;
    this.expectSomething(PATIENCE_MS);
    socket.onopen = () => {
      this.sayWish();
      this.heartbeat = setInterval(() => this.ask(PATIENCE_MS), HEARTBEAT_MS);
    };
    socket.onmessage = (event: MessageEvent) => {
      if (this.socket !== socket) return;
      clearTimeout(this.patience);
      this.delayMs = FIRST_DELAY_MS;
      const message: unknown = JSON.parse(String(event.data));
      if (isMessage(message)) this.tell(message);
    };
    socket.onclose = () => {
      if (this.socket === socket) this.onLost();
    };
  }

  private ask(patienceMs: number): void {
    this.send({ type: 'alive' });
    this.expectSomething(patienceMs);
  }

  private expectSomething(patienceMs: number): void {
    clearTimeout(this.patience);
    const socket = this.socket;
    this.patience = setTimeout(() => {
      this.onLost();
      socket?.close();
    }, patienceMs);
  }

  private onLost(): void {
    this.forget();
    if (this.wish === null) return;
    this.tell({ type: 'gateway', gateway: UNREACHABLE });
    // Half of it by chance: many pages of one server do not come back at the same moment.
    this.retry = setTimeout(() => this.connect(), this.delayMs * (0.5 + Math.random() / 2));
    this.delayMs = Math.min(this.delayMs * 2, LONGEST_DELAY_MS);
  }

  private close(): void {
    clearTimeout(this.retry);
    const socket = this.socket;
    this.forget();
    socket?.close();
  }

  private forget(): void {
    clearInterval(this.heartbeat);
    clearTimeout(this.patience);
    this.socket = undefined;
  }

  private sayWish(): void {
    if (this.wish !== null) this.send({ type: 'watch', ...this.wish });
  }

  private send(message: object): void {
    // 1: open. While it still connects, `onopen` says the newest wish.
    if (this.socket?.readyState === 1) this.socket.send(JSON.stringify(message));
  }

  private tell(message: ServerMessage): void {
    for (const listen of [...this.listeners]) listen(message);
  }
}

async function answerOf(response: Response): Promise<Answer> {
  const headers = Object.fromEntries(
    [...response.headers].filter(([name]) => name.startsWith('faas-') || name === 'retry-after')
  );
  const text = await response.text();
  let body: unknown = text;
  try {
    body = text === '' ? null : JSON.parse(text);
  } catch {
    // Not JSON: a page of a proxy on the way, or a result that is text.
  }
  return { status: response.status, body, headers };
}

/** `alive` is an answer that has said all by coming. */
function isMessage(message: unknown): message is ServerMessage {
  return typeof message === 'object' && message !== null && 'type' in message && message.type !== 'alive';
}
