import { readFileSync } from 'node:fs';

/** Of this package; both `src` and `dist` lie beside its manifest. */
export function version(): string {
  const manifest = readFileSync(new URL('../package.json', import.meta.url), 'utf8');
  return (JSON.parse(manifest) as { version: string }).version;
}
