/** An open function: how it is in words, and what can be done with it. */

import { useRef, useState } from 'preact/hooks';
import type { Feed } from '../../connection/feed';
import type { FunctionState } from '../../model/state';
import { Decision, Reasons } from '../Headline';
import type { SideActs } from './acts';
import { Drawer, DRAWERS, type DrawerName } from './Drawer';

export interface OpenedProps {
  feed: Feed;
  one: FunctionState;
  acts: SideActs;
  onClose: () => void;
}

export function Opened({ feed, one, acts, onClose }: OpenedProps) {
  const [drawer, setDrawer] = useState<DrawerName | null>(null);
  const toolbar = useRef<HTMLDivElement>(null);
  const { name } = one.view;
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key !== 'Escape') return;
    event.stopPropagation();
    if (drawer === null) onClose();
    else toolbar.current?.querySelector<HTMLElement>(`[data-drawer="${drawer}"]`)?.focus();
    setDrawer(null);
  };
  return (
    <div onKeyDown={onKeyDown}>
      <Reasons feed={feed} one={one} />
      <Decision feed={feed} one={one} />
      <div ref={toolbar} class="faas-side-acts" role="group" aria-label={`Actions for ${name}`}>
        <button type="button" class="faas-button" onClick={() => acts.openDetails(name)}>
          Open
        </button>
        {DRAWERS.map(one => (
          <button
            key={one}
            type="button"
            class="faas-button"
            data-drawer={one}
            aria-expanded={drawer === one}
            onClick={() => setDrawer(drawer === one ? null : one)}
          >
            {one}
          </button>
        ))}
        <button type="button" class="faas-button" onClick={() => void acts.insertLookup(name)}>
          Insert cell
        </button>
        <button type="button" class="faas-button" onClick={() => void acts.remove(name)}>
          Delete…
        </button>
      </div>
      {drawer && (
        <div class="faas-panel faas-drawer">
          <Drawer name={drawer} feed={feed} one={one} acts={acts} />
        </div>
      )}
    </div>
  );
}
