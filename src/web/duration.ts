const UNITS = [
  ['day', 86_400_000],
  ['h', 3_600_000],
  ['min', 60_000],
  ['s', 1_000],
] as const;

/** In whole units, the largest one and the next: `4 min 12 s`, `1 day 3 h`. From ten days on without hours. */
export function duration(ms: number): string {
  const wholeMs = Math.max(0, Math.floor(ms / 1_000) * 1_000);
  const first = UNITS.findIndex(([, unitMs]) => wholeMs >= unitMs);
  if (first < 0) return '0 s';
  const parts: string[] = [];
  let restMs = wholeMs;
  for (const [name, unitMs] of UNITS.slice(first, first + 2)) {
    const count = Math.floor(restMs / unitMs);
    restMs -= count * unitMs;
    if (count > 0) parts.push(`${count} ${name === 'day' && count > 1 ? 'days' : name}`);
    if (name === 'day' && count >= 10) break;
  }
  return parts.join(' ');
}
