import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { Feed } from '../connection/feed';
import { exact, preciseTimeOfDay } from '../model/format';
import { invocationsOf, linesOf, type LogLine } from '../model/loglines';
import type { FunctionState } from '../model/state';
import { useInterest } from './hooks';
import { memo } from './memo';

const MOST_LINES = 400;
const MOST_CALLS = 30;

interface LogProps {
  readonly feed: Feed;
  readonly one: FunctionState;
  /** Of this invocation only; empty: of all. */
  readonly invocation: string;
  readonly onInvocation: (invocation: string) => void;
}

/** What the function prints; while it is followed, as it is printed. */
export function Log({ feed, one, invocation, onInvocation }: LogProps) {
  const [isFollowing, setFollowing] = useState(true);
  const box = useRef<HTMLDivElement>(null);
  useInterest(feed, isFollowing ? { logs: [one.view.name] } : {});
  const lines = useMemo(() => linesOf(one.log, invocation).slice(-MOST_LINES), [one.log, invocation]);
  const known = useMemo(() => invocationsOf(one.log).slice(0, MOST_CALLS), [one.log]);
  const choices = invocation === '' || known.includes(invocation) ? known : [invocation, ...known];
  useEffect(() => {
    const node = box.current;
    if (isFollowing && node !== null) node.scrollTop = node.scrollHeight;
  }, [lines, isFollowing]);
  return (
    <div class="faas-log">
      <div class="faas-log-bar">
        <label>
          <input
            type="checkbox"
            checked={isFollowing}
            onChange={event => setFollowing(event.currentTarget.checked)}
          />
          follow
        </label>
        <select
          aria-label="calls whose log is shown"
          value={invocation}
          onChange={event => onInvocation(event.currentTarget.value)}
        >
          <option value="">all calls</option>
          {choices.map(id => (
            <option key={id} value={id}>
              {id}
            </option>
          ))}
        </select>
      </div>
      <div class="faas-log-lines" ref={box} role="log" aria-live="off" aria-label="log" tabIndex={0}>
        {lines.length === 0 && <p class="faas-quiet">Nothing printed yet.</p>}
        {lines.map(line => (
          <Line key={line.key} line={line} text={line.text} />
        ))}
      </div>
    </div>
  );
}

/** `text` beside `line`: a line that grows is the same line. */
const Line = memo(
  function Line({ line }: { line: LogLine; text: string }) {
    return (
      <div class={line.stream === 'stderr' ? 'faas-log-line faas-stderr' : 'faas-log-line'}>
        <time title={exact(line.at)}>{preciseTimeOfDay(line.at)}</time>
        <span class="faas-log-call" title={`call ${line.invocation}, replica ${line.replica}`}>
          {line.invocation.slice(-4)}
        </span>
        <span class="faas-log-text">{line.text}</span>
      </div>
    );
  },
  ({ line, text }) => [line.key, text].join()
);
