/**
 * The way through the kernel, for front ends without our server extension: the widget's model.
 *
 * Its traits `snapshot` (as `/v1/state` gives it, for one function or all) and `status` are how it
 * was when the panel was made; what came since comes as custom messages, which are
 * `ServerMessage`s. Actions go as custom messages and are answered when no cell runs. A model may
 * be shown several times: each view has a name, so that the kernel knows whether any is left.
 */

import type { GatewayStatus, ServerMessage, Snapshot } from '../model/types';
import type { Answer, Transport, Wish } from './transport';

export const HEARTBEAT_MS = 5_000;

/** What is used of an anywidget model. */
export interface WidgetModel {
  get(trait: string): unknown;
  on(event: string, call: (...values: unknown[]) => void): void;
  off(event: string, call: (...values: unknown[]) => void): void;
  send(content: object): void;
}

export class CommTransport implements Transport {
  readonly actsWait = true;
  private readonly listeners = new Set<(message: ServerMessage) => void>();
  private readonly waiting = new Map<number, (answer: Answer) => void>();
  private readonly view = Math.random().toString(36).slice(2, 10);
  private acts = 0;
  private hasTold = false;
  private heartbeat: ReturnType<typeof setInterval> | undefined;

  constructor(private readonly model: WidgetModel) {
    model.on('change:snapshot', this.onSnapshot);
    model.on('change:status', this.onStatus);
    model.on('msg:custom', this.onCustom);
  }

  watch(wish: Wish | null): void {
    clearInterval(this.heartbeat);
    if (wish === null) {
      this.say({ type: 'hidden' });
      return;
    }
    if (!this.hasTold) {
      this.hasTold = true;
      this.onStatus();
      this.onSnapshot();
    }
    this.say({ type: 'watch', ...wish });
    this.heartbeat = setInterval(() => this.say({ type: 'alive' }), HEARTBEAT_MS);
  }

  act(method: string, path: string, body?: unknown): Promise<Answer> {
    const id = ++this.acts;
    return new Promise(resolve => {
      this.waiting.set(id, resolve);
      this.model.send({ type: 'act', id, method, path, body: body ?? null });
    });
  }

  onMessage(listen: (message: ServerMessage) => void): () => void {
    this.listeners.add(listen);
    return () => this.listeners.delete(listen);
  }

  dispose(): void {
    clearInterval(this.heartbeat);
    this.model.off('change:snapshot', this.onSnapshot);
    this.model.off('change:status', this.onStatus);
    this.model.off('msg:custom', this.onCustom);
    for (const resolve of this.waiting.values()) {
      resolve({ status: 0, body: 'The panel was closed.', headers: {} });
    }
    this.waiting.clear();
    this.listeners.clear();
  }

  private readonly onSnapshot = () => {
    const state = this.model.get('snapshot');
    if (isFilled(state)) this.tell({ type: 'snapshot', state: state as unknown as Snapshot });
  };

  private readonly onStatus = () => {
    const gateway = this.model.get('status');
    if (isFilled(gateway)) this.tell({ type: 'gateway', gateway: gateway as unknown as GatewayStatus });
  };

  private readonly onCustom = (content: unknown) => {
    if (!isFilled(content)) return;
    if (content['type'] !== 'answer') {
      this.tell(content as unknown as ServerMessage);
      return;
    }
    const id = Number(content['id']);
    const resolve = this.waiting.get(id);
    this.waiting.delete(id);
    resolve?.({ status: Number(content['status']), body: content['body'], headers: {} });
  };

  private say(message: object): void {
    this.model.send({ ...message, view: this.view });
  }

  private tell(message: ServerMessage): void {
    for (const listen of [...this.listeners]) listen(message);
  }
}

function isFilled(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && Object.keys(value).length > 0;
}
