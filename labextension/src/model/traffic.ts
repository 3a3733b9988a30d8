/** Shares of traffic as sliders show and move them: whole per cents that are 100 together. */

export type Weights = Readonly<Record<string, number>>;

/** Return weights as whole per cents; the largest remainders are rounded up. */
export function percents(weights: Weights): Record<string, number> {
  const entries = Object.entries(weights).filter(([, weight]) => weight > 0);
  const total = entries.reduce((sum, [, weight]) => sum + weight, 0);
  if (total === 0) return {};
  const exact = entries.map(([number, weight]) => ({ number, share: (100 * weight) / total }));
  const result = Object.fromEntries(exact.map(one => [one.number, Math.floor(one.share)]));
  let missing = 100 - Object.values(result).reduce((sum, share) => sum + share, 0);
  const byRemainder = exact.sort((a, b) => (b.share % 1) - (a.share % 1));
  for (const { number } of byRemainder) {
    if (missing-- <= 0) break;
    result[number] = (result[number] ?? 0) + 1;
  }
  return result;
}

/**
 * Return the shares after one slider has been moved; the others give or take in proportion.
 *
 * @param shares Whole per cents by revision.
 * @param number Revision whose slider was moved.
 * @param percent Where to, 0 to 100. The only one with traffic stays at 100: it has to go somewhere.
 */
export function moved(shares: Weights, number: string, percent: number): Record<string, number> {
  const others = Object.entries(shares).filter(([one, share]) => one !== number && share > 0);
  if (others.length === 0) return { [number]: 100 };
  const wanted = Math.min(100, Math.max(0, Math.round(percent)));
  const rest = percents(Object.fromEntries(others));
  const scaled = scaledTo(rest, 100 - wanted);
  return without0({ ...scaled, [number]: wanted });
}

function scaledTo(shares: Weights, total: number): Record<string, number> {
  const result: Record<string, number> = {};
  let given = 0;
  let passed = 0;
  for (const [number, share] of Object.entries(shares)) {
    passed += share;
    const upTo = Math.round((passed * total) / 100);
    result[number] = upTo - given;
    given = upTo;
  }
  return result;
}

function without0(shares: Weights): Record<string, number> {
  return Object.fromEntries(Object.entries(shares).filter(([, share]) => share > 0));
}
