/** A document for tests of components, and a panel in it. Import it before anything of Preact's. */

import './browser';
import { afterEach } from 'node:test';
import { render } from 'preact';
import { act } from 'preact/test-utils';
import type { ComponentChild } from 'preact';
import { Feed } from '../src/connection/feed';
import type { Snapshot } from '../src/model/types';
import { NOW_S, snapshot } from './example';
import { RecordedTransport } from './recorded';

const open = new Set<() => void>();

// What a failed test has left would keep the process alive.
afterEach(() => open.forEach(close => close()));

export interface Shown {
  readonly feed: Feed;
  readonly transport: RecordedTransport;
  readonly root: HTMLElement;
  /** Say something and draw what comes of it. */
  readonly say: (message: Parameters<RecordedTransport['say']>[0]) => void;
  readonly close: () => void;
}

/** Show what `draw` returns with a feed that has had a snapshot. */
export async function show(
  draw: (feed: Feed) => ComponentChild,
  state: Snapshot | null = snapshot(),
  transport = new RecordedTransport()
): Promise<Shown> {
  const feed = new Feed(transport, {
    now: () => NOW_S,
    frame: call => call(),
    later: () => undefined
  });
  const root = document.createElement('div');
  document.body.append(root);
  const say: Shown['say'] = message => void act(() => transport.say(message));
  say({ type: 'gateway', gateway: { state: 'live', provider: 'local', url: '', version: '', reason: '' } });
  if (state !== null) say({ type: 'snapshot', state });
  await act(() => render(draw(feed), root));
  await settle();
  const close = () => {
    open.delete(close);
    void act(() => render(null, root));
    root.remove();
    feed.dispose();
  };
  open.add(close);
  return { feed, transport, root, say, close };
}

/** Let promises and effects run. */
export async function settle(): Promise<void> {
  for (let i = 0; i < 3; i++) await act(async () => Promise.resolve());
}

export function all<T extends Element = HTMLElement>(root: ParentNode, selector: string): T[] {
  return [...root.querySelectorAll<T>(selector)];
}

/** Return the first that is there. */
// eslint-disable-next-line @typescript-eslint/no-unnecessary-type-parameters -- querySelector has it too
export function one<T extends Element = HTMLElement>(root: ParentNode, selector: string): T {
  const found = all<T>(root, selector)[0];
  if (found === undefined) throw new Error(`nothing is ${selector} in ${String(root.textContent)}`);
  return found;
}

/** Return the button with these words. */
export function button(root: ParentNode, words: string): HTMLButtonElement {
  const found = all<HTMLButtonElement>(root, 'button').find(
    node => node.textContent.trim() === words || node.getAttribute('aria-label') === words
  );
  if (found === undefined) throw new Error(`no button says ${words}`);
  return found;
}

export async function click(node: HTMLElement): Promise<void> {
  await act(() => node.click());
  await settle();
}

/** Write into a field, as keys would. */
export async function type(field: HTMLInputElement | HTMLSelectElement, text: string, kind = 'input'): Promise<void> {
  await act(() => {
    field.value = text;
    field.dispatchEvent(new Event(kind, { bubbles: true }));
  });
}

export async function press(node: HTMLElement, key: string): Promise<void> {
  await act(() => void node.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true, cancelable: true })));
}
