/**
 * SHA-256 (FIPS 180-4) of text, synchronously.
 *
 * The browser's own `crypto.subtle` exists only on https and on localhost, and a JupyterHub is
 * often on neither; and a mark that is right one moment later flickers.
 */

const WORD = 2 ** 32;

type State = [number, number, number, number, number, number, number, number];

/** Return `hashlib.sha256(text.encode()).hexdigest()`. */
export function sha256(text: string): string {
  const message = padded(new TextEncoder().encode(text));
  const schedule = new DataView(new ArrayBuffer(256));
  let state = INITIAL;
  for (let offset = 0; offset < message.byteLength; offset += 64) {
    expand(schedule, message, offset);
    state = compressed(state, schedule);
  }
  return state.map(word => (word >>> 0).toString(16).padStart(8, '0')).join('');
}

/** The message, one bit, zeros, and its length in bits: a multiple of 64 bytes. */
function padded(message: Uint8Array): DataView {
  const bytes = new Uint8Array(((message.length + 8) >> 6) * 64 + 64);
  bytes.set(message);
  bytes[message.length] = 0x80;
  const view = new DataView(bytes.buffer);
  view.setUint32(bytes.length - 8, Math.floor((message.length * 8) / WORD));
  view.setUint32(bytes.length - 4, (message.length * 8) % WORD);
  return view;
}

function expand(schedule: DataView, message: DataView, offset: number): void {
  const word = (t: number): number => schedule.getUint32(4 * t);
  for (let t = 0; t < 16; t++) schedule.setUint32(4 * t, message.getUint32(offset + 4 * t));
  for (let t = 16; t < 64; t++) {
    const early = word(t - 15);
    const late = word(t - 2);
    const s0 = rotated(early, 7) ^ rotated(early, 18) ^ (early >>> 3);
    const s1 = rotated(late, 17) ^ rotated(late, 19) ^ (late >>> 10);
    schedule.setUint32(4 * t, word(t - 16) + s0 + word(t - 7) + s1);
  }
}

function compressed(state: State, schedule: DataView): State {
  let [a, b, c, d, e, f, g, h] = state;
  for (let t = 0; t < 64; t++) {
    const s1 = rotated(e, 6) ^ rotated(e, 11) ^ rotated(e, 25);
    const given = ROUNDS.getUint32(4 * t) + schedule.getUint32(4 * t);
    const first = (h + s1 + ((e & f) ^ (~e & g)) + given) | 0;
    const s0 = rotated(a, 2) ^ rotated(a, 13) ^ rotated(a, 22);
    const second = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
    [h, g, f, e, d, c, b, a] = [g, f, e, (d + first) | 0, c, b, a, (first + second) | 0];
  }
  const [p, q, r, s, t, u, v, w] = state;
  return [p + a, q + b, r + c, s + d, t + e, u + f, v + g, w + h].map(word => word | 0) as State;
}

function rotated(word: number, by: number): number {
  return (word >>> by) | (word << (32 - by));
}

const PRIMES = primes(64);
/** First 32 bits of the fractions of the square roots of the first 8 primes. */
const INITIAL = PRIMES.slice(0, 8).map(prime => fraction(Math.sqrt(prime))) as State;
/** The same of the cube roots of the first 64. */
const ROUNDS = new DataView(new ArrayBuffer(256));
PRIMES.forEach((prime, t) => ROUNDS.setUint32(4 * t, fraction(Math.cbrt(prime))));

function fraction(value: number): number {
  return Math.floor((value - Math.floor(value)) * WORD);
}

function primes(count: number): number[] {
  const found: number[] = [];
  for (let candidate = 2; found.length < count; candidate++) {
    if (found.every(prime => candidate % prime !== 0)) found.push(candidate);
  }
  return found;
}
