/** One function of the list: its line, and below it, when open, what can be done. */

import { useRef } from 'preact/hooks';
import type { Feed } from '../../connection/feed';
import type { FunctionState } from '../../model/state';
import { Dots } from '../Dots';
import { memo } from '../memo';
import type { SideActs } from './acts';
import { Opened } from './Opened';
import { rowOf } from './row';
import { Spark } from './Spark';

export interface RowProps {
  id: string;
  feed: Feed;
  one: FunctionState;
  acts: SideActs;
  isOpen: boolean;
  /** It is where Tab enters the list. */
  isCurrent: boolean;
  onFocus: (id: string) => void;
  onToggle: (id: string, isOpen: boolean) => void;
}

/** Of hundreds of functions only those are drawn anew that have changed. */
export const FunctionRow = memo(function FunctionRow(props: RowProps) {
  const { id, feed, one, acts, isOpen, isCurrent, onFocus, onToggle } = props;
  const row = rowOf(one);
  const header = useRef<HTMLButtonElement>(null);
  const region = `faas-open-${id}`;
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === 'ArrowRight') onToggle(id, true);
    if (event.key === 'ArrowLeft' || (event.key === 'Escape' && isOpen)) onToggle(id, false);
    else if (event.key === 'Escape') acts.leave();
  };
  const close = () => {
    onToggle(id, false);
    header.current?.focus();
  };
  return (
    <li class="faas-side-function">
      <button
        ref={header}
        type="button"
        class="faas-side-row"
        data-key={id}
        aria-label={row.label}
        aria-expanded={isOpen}
        aria-controls={isOpen ? region : undefined}
        tabIndex={isCurrent ? 0 : -1}
        onFocus={() => onFocus(id)}
        onClick={() => onToggle(id, !isOpen)}
        onKeyDown={onKeyDown}
      >
        <span class="faas-side-twist">{isOpen ? '▾' : '▸'}</span>
        <span class="faas-side-name" title={row.name}>
          {row.name}
        </span>
        {row.word === '' ? (
          <Dots replicas={one.replicas} most={5} />
        ) : (
          <span class={row.isFailed ? 'faas-side-word faas-failed' : 'faas-side-word'} title={row.word}>
            {row.word}
          </span>
        )}
        {!row.isFailed && <span class="faas-side-load">{row.inFlight}</span>}
        {!row.isFailed && <Spark feed={feed} history={one.history} />}
        <span class="faas-side-revision">{row.revision}</span>
      </button>
      {isOpen && (
        <div id={region} class="faas-side-open" role="group" aria-label={`What can be done with ${row.name}`}>
          <Opened feed={feed} one={one} acts={acts} onClose={close} />
        </div>
      )}
    </li>
  );
});
