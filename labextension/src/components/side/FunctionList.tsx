/** The list: arrow keys move in it, Enter opens a function, Escape closes it. */

import { useCallback, useEffect, useRef, useState } from 'preact/hooks';
import type { Feed } from '../../connection/feed';
import { keyOf, type FunctionState, type State } from '../../model/state';
import type { SideActs } from './acts';
import { FunctionRow } from './FunctionRow';
import type { Wanted } from './SidePanel';

export interface ListProps {
  feed: Feed;
  state: State;
  functions: readonly FunctionState[];
  acts: SideActs;
  wanted: Wanted | null;
}

export function FunctionList({ feed, state, functions, acts, wanted }: ListProps) {
  const [open, setOpen] = useState<ReadonlySet<string>>(new Set());
  const [current, setCurrent] = useState('');
  const list = useRef<HTMLUListElement>(null);
  const toggle = useCallback((key: string, isOpen: boolean) => {
    setOpen(before => {
      const others = [...before].filter(one => one !== key);
      return new Set(isOpen ? [...others, key] : others);
    });
  }, []);
  useEffect(() => {
    if (wanted === null) return;
    const key = keyOf(state.namespace, wanted.name);
    setCurrent(key);
    toggle(key, true);
    const row = list.current?.querySelector<HTMLElement>(`[data-key="${CSS.escape(key)}"]`);
    row?.scrollIntoView({ block: 'nearest' });
    row?.focus();
  }, [wanted]);
  const first = functions[0] && keyFor(functions[0]);
  const isThere = functions.some(one => keyFor(one) === current);
  return (
    <ul ref={list} class="faas-side-functions" aria-label="Functions" onKeyDown={move}>
      {functions.map(one => {
        const key = keyFor(one);
        return (
          <FunctionRow
            key={key}
            id={key}
            feed={feed}
            one={one}
            acts={acts}
            isOpen={open.has(key)}
            isCurrent={key === (isThere ? current : first)}
            onFocus={setCurrent}
            onToggle={toggle}
          />
        );
      })}
    </ul>
  );
}

function keyFor({ view }: FunctionState): string {
  return keyOf(view.namespace, view.name);
}

/** Move the focus from line to line. */
function move(event: KeyboardEvent & { currentTarget: HTMLElement }): void {
  const from = event.target as HTMLElement;
  if (!from.classList.contains('faas-side-row')) return;
  const rows = [...event.currentTarget.querySelectorAll<HTMLElement>('.faas-side-row')];
  const at = rows.indexOf(from);
  const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: rows.length - 1 }[event.key];
  if (to === undefined) return;
  event.preventDefault();
  rows[Math.min(Math.max(to, 0), rows.length - 1)]?.focus();
}
