/**
 * Lines of a log made of the pieces in which functions wrote them.
 *
 * A piece may hold several lines or part of one; pieces of several invocations come interleaved.
 * A carriage return begins the line anew, as progress bars do.
 */

import { plainText } from './format';
import type { LogPiece } from './types';

export const MAX_PIECES = 2000;

export interface LogLine {
  /** Stable while the line grows. */
  readonly key: string;
  readonly at: number;
  readonly invocation: string;
  readonly replica: string;
  readonly stream: 'stdout' | 'stderr';
  readonly text: string;
}

/**
 * Return pieces with newer ones added, bounded; what is there already is passed over (a reader
 * that has lost its connection is told the end of the log again).
 */
export function added(log: readonly LogPiece[], pieces: readonly LogPiece[]): readonly LogPiece[] {
  const reached = log.at(-1)?.seq ?? 0;
  const newer = pieces.filter(piece => piece.seq > reached);
  if (newer.length === 0) return log;
  return [...log, ...newer].slice(-MAX_PIECES);
}

/** Return the lines of a log in the order in which they began. */
export function linesOf(log: readonly LogPiece[], invocation = ''): LogLine[] {
  const lines: LogLine[] = [];
  const open = new Map<string, number>();
  for (const piece of log) {
    if (invocation !== '' && piece.invocation !== invocation) continue;
    addPiece(lines, open, piece);
  }
  return lines.map(one => (one.text.endsWith('\r') ? { ...one, text: one.text.slice(0, -1) } : one));
}

/** Return the invocations that have written, newest first. */
export function invocationsOf(log: readonly LogPiece[]): string[] {
  return [...new Set(log.map(piece => piece.invocation).reverse())].filter(id => id !== '');
}

function addPiece(lines: LogLine[], open: Map<string, number>, piece: LogPiece): void {
  const writer = `${piece.replica} ${piece.invocation} ${piece.stream}`;
  const parts = plainText(piece.text).split('\n');
  parts.forEach((part, index) => {
    const isLast = index === parts.length - 1;
    const at = open.get(writer);
    if (isLast && part === '') return;
    if (at === undefined) {
      if (!isLast) lines.push(line(piece, index, part));
      else open.set(writer, lines.push(line(piece, index, part)) - 1);
      return;
    }
    const begun = lines[at];
    if (begun !== undefined) lines[at] = { ...begun, text: overwritten(begun.text + part) };
    if (!isLast) open.delete(writer);
  });
  if (parts.length > 1 && parts.at(-1) === '') open.delete(writer);
}

function line(piece: LogPiece, index: number, text: string): LogLine {
  const { at, invocation, replica, stream } = piece;
  return { key: `${piece.seq}.${index}`, at, invocation, replica, stream, text: overwritten(text) };
}

/** Return what a terminal would show; a carriage return at the end waits for what overwrites. */
function overwritten(text: string): string {
  const ended = text.replace(/\r+$/, '\r');
  const begin = ended.slice(0, -1).lastIndexOf('\r');
  return begin < 0 ? ended : ended.slice(begin + 1);
}
