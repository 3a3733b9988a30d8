/**
 * What stands at a cell's prompt: whether what is deployed is what the cell says. Pure.
 *
 * The gateway keeps with each revision where it came from: the cell's id and a digest of its text
 * (jupyter_faas/client/origin.py). Text that is the same is the same in a copy of the notebook too;
 * an id tells that a cell has changed since. No kernel is asked and nothing is written down.
 */

/** Where a revision came from, and how it is. */
export interface Source {
  number: number;
  state: 'pending' | 'ready' | 'failed';
  /** Why it failed; empty otherwise. */
  reason: string;
  cellId: string;
  /** sha256 of the cell's text, 64 hex digits; empty: no cell. */
  sourceDigest: string;
}

/** A deployed function as marks see it. */
export interface Deployment {
  name: string;
  /** In any order. */
  sources: readonly Source[];
  /** Number of the revision with most of the traffic; 0: none has any. */
  live: number;
  /** Names whose values in the running kernel are no longer those that were sent. */
  olderValues: readonly string[];
}

/** A cell: its id, and the sha256 of its text; empty: it is empty. */
export interface MarkedCell {
  id: string;
  digest: string;
}

export type Kind = 'failed' | 'changed' | 'older' | 'deployed';

export interface Mark {
  kind: Kind;
  /** `▲ 4`, `▲ 4*`, `▲ 4~` or `✕`. */
  text: string;
  /** One sentence for each function of the cell. */
  tooltip: string;
  /** Function that a click shows. */
  function: string;
}

/** Return the mark of a cell; null: nothing is deployed from it. */
export function markOf(
  { id, digest }: MarkedCell,
  deployments: readonly Deployment[]
): Mark | null {
  if (digest === '') return null;
  const marks = deployments.flatMap(one => markFor(id, digest, one) ?? []);
  marks.sort((one, other) => WORST_FIRST.indexOf(one.kind) - WORST_FIRST.indexOf(other.kind));
  const [worst, ...others] = marks;
  if (worst === undefined) return null;
  const more = others.length > 0 ? ` +${others.length}` : '';
  const tooltip = marks.map(mark => mark.tooltip).join('\n');
  return { ...worst, text: worst.text + more, tooltip };
}

const WORST_FIRST: readonly Kind[] = ['failed', 'changed', 'older', 'deployed'];

function markFor(cellId: string, digest: string, deployment: Deployment): Mark | null {
  const same = deployment.sources.filter(source => source.sourceDigest === digest);
  if (same.length > 0) {
    return sameText(deployment, same);
  }
  const here = deployment.sources.filter(source => cellId !== '' && source.cellId === cellId);
  return here.length > 0 ? changedText(deployment, here) : null;
}

/** Revisions with exactly this text; several, if values it uses have changed between them. */
function sameText(deployment: Deployment, same: readonly Source[]): Mark {
  const { name, live, olderValues } = deployment;
  const latest = newest(same);
  if (latest.state === 'failed') {
    return made(deployment, 'failed', latest, failure(deployment, latest));
  }
  const serving = same.find(source => source.number === live) ?? latest;
  if (latest.state === 'pending' && serving === latest) {
    return made(deployment, 'deployed', latest, `${name}: revision ${latest.number} is starting.`);
  }
  if (serving.number < latest.number) {
    const sentence = `${name}: revision ${serving.number} serves, with older values than revision ${latest.number}.`;
    return made(deployment, 'older', serving, sentence);
  }
  if (olderValues.length > 0 && isNewest(deployment, serving)) {
    const changed = `${olderValues.join(', ')} changed since.`;
    return made(deployment, 'older', serving, `${name}: revision ${serving.number} runs older values: ${changed}`);
  }
  return made(deployment, 'deployed', serving, deployed(deployment, serving));
}

function deployed({ name, live }: Deployment, source: Source): string {
  const others = live !== 0 && live !== source.number ? `; revision ${live} serves` : '';
  return `${name}: deployed as revision ${source.number}${others}.`;
}

function changedText(deployment: Deployment, here: readonly Source[]): Mark {
  const latest = newest(here);
  const what = latest.state === 'failed' ? 'failed' : 'was deployed';
  const sentence = `${deployment.name}: changed since revision ${latest.number} ${what}.`;
  return made(deployment, 'changed', latest, sentence);
}

function failure({ name, live }: Deployment, source: Source): string {
  const reason = source.reason ? `: ${source.reason.replace(/\.$/, '')}` : '';
  const serving = live !== 0 && live !== source.number ? ` Revision ${live} keeps serving.` : '';
  return `${name}: revision ${source.number} failed${reason}.${serving}`;
}

function made({ name }: Deployment, kind: Kind, { number }: Source, tooltip: string): Mark {
  const text = kind === 'failed' ? '✕' : `▲ ${number}${SIGNS[kind]}`;
  return { kind, text, tooltip, function: name };
}

const SIGNS = { changed: '*', older: '~', deployed: '' };

function newest(sources: readonly Source[]): Source {
  return sources.reduce((one, other) => (other.number > one.number ? other : one));
}

function isNewest(deployment: Deployment, source: Source): boolean {
  return source === newest(deployment.sources);
}
