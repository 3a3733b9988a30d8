import type { Parameter, RevisionView } from '../model/types';

const SAMPLES: Readonly<Record<string, unknown>> = { int: 1, float: 1.5, bool: true, str: 'x' };

/** Return a line for a shell that calls a function; the token comes from the command line. */
export function curlLine(url: string, revision: RevisionView | undefined): string {
  const needed = (revision?.spec.code.parameters ?? []).filter(isNeeded);
  const body = Object.fromEntries(needed.map(({ name, annotation }) => [name, SAMPLES[annotation ?? ''] ?? 'x']));
  const data = JSON.stringify(body).replaceAll("'", "'\\''");
  return `curl -H "$(jupyter-faas auth-header)" -d '${data}' ${quoted(url)}`;
}

function isNeeded({ kind, default: value }: Parameter): boolean {
  const isNamed = !/^(\*|VAR_)/.test(kind) && !kind.toLowerCase().startsWith('var');
  return isNamed && (value === undefined || value === null || value === '');
}

function quoted(url: string): string {
  return /^[\w:/.@%+=,-]+$/.test(url) ? url : `'${url.replaceAll("'", "'\\''")}'`;
}
