import assert from 'node:assert/strict';
import { test } from 'node:test';
import { markOf, type Deployment, type Source } from '../../src/marks/mark';

const CELL = { id: 'c1', digest: 'd1' };
const EDITED = { ...CELL, digest: 'd2' };
const COPY = { ...CELL, id: 'elsewhere' };

function source(number: number, changes: Partial<Source> = {}): Source {
  return { number, state: 'ready', reason: '', cellId: 'c1', sourceDigest: 'd1', ...changes };
}

function deployment(sources: readonly Source[], changes: Partial<Deployment> = {}): Deployment {
  return { name: 'score', sources, live: sources.at(-1)?.number ?? 0, olderValues: [], ...changes };
}

const shown = (cell: typeof CELL, ...deployments: Deployment[]): string | undefined =>
  markOf(cell, deployments)?.text;
const told = (cell: typeof CELL, ...deployments: Deployment[]): string | undefined =>
  markOf(cell, deployments)?.tooltip;

test('a cell whose text was deployed shows its revision', () => {
  assert.equal(shown(CELL, deployment([source(4)])), '▲ 4');
  assert.equal(told(CELL, deployment([source(4)])), 'score: deployed as revision 4.');
});

test('a copy of the cell, in another notebook, shows it too', () => {
  assert.equal(shown(COPY, deployment([source(4)])), '▲ 4');
});

test('a cell that was changed since has a star', () => {
  assert.equal(shown(EDITED, deployment([source(3), source(4)])), '▲ 4*');
  assert.equal(told(EDITED, deployment([source(4)])), 'score: changed since revision 4 was deployed.');
});

test('a cell that was changed back is as it was deployed then, and tells what serves', () => {
  const other = source(5, { sourceDigest: 'of other text' });
  assert.equal(shown(CELL, deployment([source(4), other])), '▲ 4');
  assert.equal(told(CELL, deployment([source(4), other])), 'score: deployed as revision 4; revision 5 serves.');
});

test('values that the kernel has changed since are told', () => {
  const older = deployment([source(4)], { olderValues: ['threshold'] });
  assert.equal(shown(CELL, older), '▲ 4~');
  assert.equal(told(CELL, older), 'score: revision 4 runs older values: threshold changed since.');
});

test('going back to a revision of the same text with older values is told', () => {
  const back = deployment([source(3), source(4)], { live: 3 });
  assert.equal(shown(CELL, back), '▲ 3~');
  assert.match(told(CELL, back) ?? '', /older values than revision 4/);
});

test('a failed revision shows a cross and the reason', () => {
  const failed = source(5, { state: 'failed', reason: 'the runner has no module `sklearn`.' });
  const { text, tooltip, kind } = markOf(CELL, [deployment([source(4, { sourceDigest: 'x' }), failed], { live: 4 })])!;
  assert.deepEqual([text, kind], ['✕', 'failed']);
  assert.equal(tooltip, 'score: revision 5 failed: the runner has no module `sklearn`. Revision 4 keeps serving.');
});

test('a cell that was changed after it failed is changed', () => {
  const failed = source(5, { state: 'failed', reason: 'no' });
  assert.equal(shown(EDITED, deployment([failed])), '▲ 5*');
  assert.equal(told(EDITED, deployment([failed])), 'score: changed since revision 5 failed.');
});

test('a revision on its way is told', () => {
  assert.equal(told(CELL, deployment([source(1, { state: 'pending' })], { live: 0 })), 'score: revision 1 is starting.');
});

test('of several functions of a cell the one that needs attention is shown, all are told', () => {
  const failed = deployment([source(2, { state: 'failed' })], { name: 'train' });
  const mark = markOf(CELL, [deployment([source(4)]), failed])!;
  assert.deepEqual([mark.text, mark.function], ['✕ +1', 'train']);
  assert.equal(mark.tooltip, 'train: revision 2 failed.\nscore: deployed as revision 4.');
});

test('other cells, empty ones and those without an id have no mark', () => {
  const script = deployment([source(4, { cellId: '', sourceDigest: '' })]);
  assert.equal(shown({ id: 'c2', digest: 'd3' }, deployment([source(4)])), undefined);
  assert.equal(shown({ id: '', digest: 'd3' }, script), undefined);
  assert.equal(shown({ id: '', digest: '' }, script), undefined);
});
