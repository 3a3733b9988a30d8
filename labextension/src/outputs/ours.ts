/**
 * Which output a message is about, after a reload of the page has made JupyterLab forget the display
 * ids of outputs: ours have theirs in their metadata, too, which is saved with the notebook.
 */

const KEY = 'jupyter-faas';

/** Return the display id that metadata of ours names; empty: it is not ours. */
export function displayIdOf(metadata: unknown): string {
  const own = field(metadata, KEY);
  const id = field(own, 'display_id');
  return typeof id === 'string' ? id : '';
}

/** Return whether two MIME bundles are the same: JSON, in the order the kernel made them. */
export function isSame(one: unknown, other: unknown): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

function field(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[name] : undefined;
}
