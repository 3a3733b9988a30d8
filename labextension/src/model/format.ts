/** How numbers and times are said; the words are those of `jupyter_faas/client/markup.py`. */

/** Return a duration for people: `38 ms`, `2.4 s`, `3 min`. */
export function duration(seconds: number): string {
  if (seconds < 1) return `${(Math.max(seconds, 0) * 1000).toFixed(0)} ms`;
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  if (seconds < 5400) return `${(seconds / 60).toFixed(0)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}

/** Return milliseconds for a table: `0`, `8 ms`, `8.1 ms` below ten, seconds from one on. */
export function milliseconds(value: number | null): string {
  if (value === null) return '–';
  if (value >= 1000) return duration(value / 1000);
  if (value === 0) return '0 ms';
  return value < 10 ? `${value.toFixed(1)} ms` : `${value.toFixed(0)} ms`;
}

/** Return a rate: `171/s`, `0.25/s`. */
export function perSecond(rate: number): string {
  return `${rate >= 10 ? count(rate) : rate.toFixed(rate >= 1 ? 1 : 2)}/s`;
}

/** Return one block per share of 0 to 1: `▇▇▅▇`. */
export function blocks(shares: readonly number[]): string {
  const heights = '▁▂▃▄▅▆▇█';
  const top = heights.length - 1;
  return shares.map(share => heights[Math.round(Math.min(Math.max(share, 0), 1) * top)]).join('');
}

/** Return how long ago something was: `now`, `12 s ago`, `3 min ago`, `yesterday`. */
export function ago(thenS: number, nowS: number): string {
  const seconds = nowS - thenS;
  if (thenS <= 0) return '–';
  if (seconds < 1.5) return 'now';
  if (seconds < 60) return `${seconds.toFixed(0)} s ago`;
  if (seconds < 86_400) return `${duration(seconds)} ago`;
  return seconds < 172_800 ? 'yesterday' : `${(seconds / 86_400).toFixed(0)} days ago`;
}

/** Return the exact local time, for tooltips: `2026-11-26 10:42:07.120`. */
export function exact(atS: number): string {
  if (atS <= 0) return '';
  const then = new Date(atS * 1000);
  const day = [then.getFullYear(), two(then.getMonth() + 1), two(then.getDate())].join('-');
  return `${day} ${preciseTimeOfDay(atS)}`;
}

/** Return the local time of day to the millisecond, for a log: `10:42:07.120`. */
export function preciseTimeOfDay(atS: number): string {
  return `${timeOfDay(atS)}.${String(new Date(atS * 1000).getMilliseconds()).padStart(3, '0')}`;
}

/** Return the local time of day: `10:42:07`. */
export function timeOfDay(atS: number): string {
  const then = new Date(atS * 1000);
  return [then.getHours(), then.getMinutes(), then.getSeconds()].map(two).join(':');
}

/** Return the day and minute of something: `today 10:31`, `yesterday 9:05`, `2026-11-02`. */
export function day(atS: number, nowS: number): string {
  if (atS <= 0) return '–';
  const then = new Date(atS * 1000);
  const minute = `${two(then.getHours())}:${two(then.getMinutes())}`;
  const midnight = new Date(nowS * 1000).setHours(0, 0, 0, 0) / 1000;
  if (atS >= midnight) return `today ${minute}`;
  if (atS >= midnight - 86_400) return `yesterday ${minute}`;
  return exact(atS).slice(0, 10);
}

/** Return a size for people: `812 B`, `1.2 kB`, `3.4 MB`. */
export function size(bytes: number): string {
  for (const [unit, scale] of [['GB', 1e9], ['MB', 1e6], ['kB', 1e3]] as const) {
    if (bytes >= scale) return `${(bytes / scale).toFixed(1)} ${unit}`;
  }
  return `${bytes.toFixed(0)} B`;
}

/** Return a count with thin spaces between thousands: `12 403`. */
export function count(value: number): string {
  return String(Math.round(value)).replace(/\B(?=(\d{3})+$)/g, '\u202f');
}

/** Return memory × run time: `0.84 GB·h`, `2.5 GB·s`. As clouds bill it, 1 GB is 1024 MiB here. */
export function memoryTime(mebibyteSeconds: number): string {
  const gigabyteSeconds = mebibyteSeconds / 1024;
  if (gigabyteSeconds >= 360) return `${(gigabyteSeconds / 3600).toFixed(2)} GB·h`;
  if (gigabyteSeconds >= 10) return `${gigabyteSeconds.toFixed(0)} GB·s`;
  return `${gigabyteSeconds.toFixed(gigabyteSeconds >= 1 || gigabyteSeconds === 0 ? 1 : 2)} GB·s`;
}

/** Return `1 replica`, `2 replicas`. */
export function plural(value: number, one: string, many = `${one}s`): string {
  return `${count(value)} ${value === 1 ? one : many}`;
}

/** Return text without the escape sequences that colour a terminal. */
export function plainText(text: string): string {
  return text.replace(/\u001b(?:\[[0-?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\)|[@-_])/g, '');
}

function two(value: number): string {
  return String(value).padStart(2, '0');
}
