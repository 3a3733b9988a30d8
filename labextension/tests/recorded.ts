import type { Answer, Transport, Wish } from '../src/connection/transport';
import type { ServerMessage } from '../src/model/types';

/** A transport that records what it was asked and says what a test wants. */
export class RecordedTransport implements Transport {
  actsWait = false;
  readonly wishes: (Wish | null)[] = [];
  readonly acts: [string, string, unknown][] = [];
  /** Answers by `METHOD path`; everything else is answered 200 with {}. */
  readonly answers = new Map<string, Answer>();
  private readonly listeners = new Set<(message: ServerMessage) => void>();

  watch(wish: Wish | null): void {
    this.wishes.push(wish);
  }

  act(method: string, path: string, body?: unknown): Promise<Answer> {
    this.acts.push([method, path, body]);
    const answer = this.answers.get(`${method} ${path}`);
    return Promise.resolve(answer ?? { status: 200, body: {}, headers: {} });
  }

  onMessage(listen: (message: ServerMessage) => void): () => void {
    this.listeners.add(listen);
    return () => this.listeners.delete(listen);
  }

  dispose(): void {
    this.listeners.clear();
  }

  say(message: ServerMessage): void {
    for (const listen of this.listeners) listen(message);
  }
}
