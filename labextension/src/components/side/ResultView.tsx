/** What a call gave: how it ended, how long it took, and the answer as text. */

import type { Result } from '../../connection/invoke';
import { milliseconds } from '../../model/format';

const MARKS = { running: '●', done: '✓', failed: '✕', cancelled: '◌' };

export function ResultView({ result }: { result: Result }) {
  const { state, text, traceback } = result;
  return (
    <div class="faas-result">
      <p role="status" class={state === 'failed' ? 'faas-failed' : 'faas-note'}>
        {MARKS[state]} {[state, ...measured(result)].join(' · ')}
      </p>
      {text !== '' && (
        <pre tabIndex={0} aria-label="Answer">
          {text}
        </pre>
      )}
      {traceback !== '' && (
        <details>
          <summary>traceback</summary>
          <pre tabIndex={0}>{traceback}</pre>
        </details>
      )}
    </div>
  );
}

function measured({ headers }: Result): string[] {
  const said: string[] = [];
  const run = headers.get('faas-run-ms');
  const queued = headers.get('faas-queue-ms');
  const revision = headers.get('faas-revision');
  if (run !== undefined) said.push(milliseconds(Number(run)));
  if (queued !== undefined && Number(queued) >= 1) said.push(`queued ${milliseconds(Number(queued))}`);
  if (headers.get('faas-cold-start') === '1') said.push('cold start');
  if (revision !== undefined) said.push(`revision ${revision}`);
  return said;
}
