/**
 * Which functions run older values than their notebook has: a kernel tells after each cell. Pure.
 *
 * It says so on a comm that nobody has opened (`jupyter_faas/notebook/values.py`).
 */

import type { OlderValues } from './deployments';

const COMM_ID = 'jupyter-faas-values';

/** Return names of changed values by function; null: the message is about something else. */
export function olderValuesOf(type: string, content: unknown): OlderValues | null {
  if (type !== 'comm_msg' || !isRecord(content) || content['comm_id'] !== COMM_ID) return null;
  const older = isRecord(content['data']) ? content['data']['older'] : null;
  if (!isRecord(older)) return null;
  const told = Object.entries(older).map(([name, names]): [string, string[]] => [name, textsOf(names)]);
  return new Map(told.filter(([, names]) => names.length > 0));
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

function textsOf(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((one): one is string => typeof one === 'string') : [];
}
