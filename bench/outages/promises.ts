import { readFileSync } from 'node:fs';

const ARCHITECTURE = new URL('../../ARCHITECTURE.md', import.meta.url);
const HEADER = '| failure | what happens | guarantees | test |';

/** A row of the failure matrix. */
export interface Promised {
  failure: string;
  happens: string;
  guarantees: string;
}

/** The rows of the failure matrix in ARCHITECTURE.md for these failures. @throws Error when one is not there */
export function promised(failures: readonly string[]): Promised[] {
  const lines = readFileSync(ARCHITECTURE, 'utf8').split('\n');
  const start = lines.indexOf(HEADER);
  if (start === -1) throw new Error('ARCHITECTURE.md has no failure matrix');
  const rows = lines.slice(start + 2).map((line) => line.split('|').map((cell) => cell.trim()));
  return failures.map((failure) => {
    const [, , happens, guarantees] = rows.find(([, cell]) => cell === failure) ?? [];
    if (happens === undefined || guarantees === undefined) throw new Error(`ARCHITECTURE.md has no row "${failure}"`);
    return { failure, happens, guarantees };
  });
}
