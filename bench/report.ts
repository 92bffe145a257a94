/** Prints rows as an aligned table. */
export function table(
  title: string,
  columns: readonly string[],
  rows: readonly (readonly (string | number)[])[],
): void {
  const cells = [columns, ...rows].map((row) => row.map(String));
  const widths = columns.map((_, column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)));
  console.log(`\n${title}`);
  for (const [index, row] of cells.entries()) {
    console.log(
      `  ${row.map((cell, column) => (column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0))).join('  ')}`,
    );
    if (index === 0) console.log(`  ${widths.map((width) => '-'.repeat(width)).join('  ')}`);
  }
}

/** `0.84×`, and against a bound `0.84× (wanted ≥ 0.70×)`. */
export function ratio(value: number, wanted?: { atLeast: number } | { atMost: number }): string {
  const text = `${value.toFixed(2)}×`;
  if (wanted === undefined) return text;
  const ok = 'atLeast' in wanted ? value >= wanted.atLeast : value <= wanted.atMost;
  const bound = 'atLeast' in wanted ? `≥ ${wanted.atLeast}×` : `≤ ${wanted.atMost}×`;
  return `${text} (${ok ? 'holds' : 'MISSED'}: ${bound})`;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}
