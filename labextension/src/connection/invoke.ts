/** A call of a function from a page: its answer as it arrives. */

import type { Body } from '../invoke/body';
import type { Server } from './socket';
import { problemOf } from './transport';

/** Of an answer that is shown; a longer one is cut. */
export const MOST_SHOWN = 100_000;

export interface Result {
  /** `running` until the answer is complete. */
  readonly state: 'running' | 'done' | 'failed' | 'cancelled';
  /** The answer, or the sentence that says what went wrong. */
  readonly text: string;
  readonly traceback: string;
  /** `Faas-*` headers by lower-case name. */
  readonly headers: ReadonlyMap<string, string>;
}

export interface Invocation {
  readonly name: string;
  /** Of a class; empty: the function itself. */
  readonly method: string;
  readonly body: Body;
}

/**
 * Call a function and tell what comes back, piece by piece.
 *
 * @param tell Gets the whole result so far; last with another state than `running`.
 * @param signal Aborting it cancels the call.
 */
export async function invoke(
  server: Server,
  { name, method, body }: Invocation,
  tell: (result: Result) => void,
  signal: AbortSignal
): Promise<void> {
  let so: Result = { state: 'running', text: '', traceback: '', headers: new Map() };
  const become = (changes: Partial<Result>): void => tell((so = { ...so, ...changes }));
  become({});
  const headers = { 'Content-Type': body.contentType, ...(method && { 'Faas-Method': method }) };
  try {
    const init = { method: 'POST', body: body.text, headers, signal };
    const response = await server.request(`function/${encodeURIComponent(name)}`, init);
    become({ headers: new Map(response.headers) });
    if (!response.ok) become(await refusal(response));
    else become({ state: 'done', text: await read(response, text => become({ text })) });
  } catch {
    const lost = 'The connection broke before there was an answer.';
    become(signal.aborted ? { state: 'cancelled' } : { state: 'failed', text: lost });
  }
}

async function read(response: Response, tell: (text: string) => void): Promise<string> {
  const reader = response.body?.getReader();
  const decoder = new TextDecoder();
  let text = '';
  for (;;) {
    const piece = await reader?.read();
    if (piece === undefined || piece.done) break;
    text += decoder.decode(piece.value, { stream: true });
    if (text.length > MOST_SHOWN) {
      await reader?.cancel();
      return `${text.slice(0, MOST_SHOWN)}…`;
    }
    tell(text);
  }
  return indented(text + decoder.decode());
}

async function refusal(response: Response): Promise<Partial<Result>> {
  const body: unknown = await response.json().catch(() => null);
  const text = problemOf({ status: response.status, body, headers: {} });
  return { state: 'failed', text, traceback: tracebackOf(body) };
}

function tracebackOf(body: unknown): string {
  const traceback = (body as { traceback?: unknown } | null)?.traceback;
  return typeof traceback === 'string' ? traceback : '';
}

/** JSON with line breaks; numbers stay as they came, so it is only done where none can change. */
function indented(text: string): string {
  if (/\d{16}/.test(text)) return text;
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}
