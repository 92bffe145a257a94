/** The most of these times that lie within one second. */
export function busiestSecond(timesMs: readonly number[]): number {
  const sorted = timesMs.toSorted((a, b) => a - b);
  let from = 0;
  return sorted.reduce((most, timeMs, index) => {
    while (timeMs - (sorted[from] ?? 0) >= 1_000) from += 1;
    return Math.max(most, index - from + 1);
  }, 0);
}
