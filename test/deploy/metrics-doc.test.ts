import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { knownMetrics } from './promtool.js';

const DOC = readFileSync(join(import.meta.dirname, '../../docs/metrics.md'), 'utf8');

const documented = [...DOC.matchAll(/^\| `(\w+)` \| (\w+) \| ([^|]*)\|/gm)].map(([, name = '', type, labels = '']) => ({
  name,
  type,
  labels: labels.split(',').flatMap((label) => label.trim() || []),
}));

// What Node's client tells of the process depends on the system.
it.skipIf(process.platform !== 'linux')(
  'docs/metrics.md has each metric with its type and labels (only on Linux)',
  () => {
    const exposed = [...knownMetrics()].map(([name, { type, labels }]) => ({ name, type, labels }));
    const byName = (a: { name: string }, b: { name: string }) => a.name.localeCompare(b.name);
    expect(documented.sort(byName)).toEqual(exposed.sort(byName));
  },
);
