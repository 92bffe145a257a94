import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it, test } from 'vitest';
import { brokenPromises, percentile, type Report } from '../../scripts/rollout-report/report.js';
import { noHaproxy, withHaproxy } from './use-cluster.js';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const OWNERS = 60;

/** `npm run rollout-report` without the build. @throws when it does not exit with 0 */
function rolloutReport(...args: string[]): Promise<{ stdout: string; stderr: string }> {
  return promisify(execFile)(process.execPath, ['--import', 'tsx', 'scripts/rollout-report.ts', ...args], {
    cwd: ROOT,
  });
}

describe.skipIf(noHaproxy)('npm run rollout-report', () => {
  test.each([
    ['SIGTERM', [], '1012'],
    ['SIGKILL', ['--kill'], '1006'],
  ] as const)(
    withHaproxy('restarts every node by %s and finds nothing lost'),
    async (signal, args, code) => {
      const folder = await mkdtemp(join(tmpdir(), 'holdfast-rollout-'));
      try {
        const file = join(folder, 'report.json');
        const { stdout } = await rolloutReport('--owners', `${OWNERS}`, '--every-ms', '200', '--json', file, ...args);
        expect(stdout).toContain('every promise held');
        const report = JSON.parse(await readFile(file, 'utf8')) as Report;
        expect(report).toMatchObject({ signal, owners: OWNERS, owners_lost: 0, messages: { lost: 0, doubled: 0 } });
        expect(report.messages.sent).toBeGreaterThan(OWNERS * 10);
        expect(report.steps.map(({ node }) => node)).toEqual(['n1', 'n2', 'n3']);
        for (const { connections, moved, closes } of report.steps) {
          expect([moved, closes]).toEqual([connections, { [code]: connections }]);
        }
      } finally {
        await rm(folder, { recursive: true });
      }
    },
    120_000,
  );
});

test('it says what it cannot do', async () => {
  await expect(rolloutReport('--owners', 'many')).rejects.toMatchObject({
    code: 1,
    stderr: expect.stringContaining('--owners must be an integer from 1 to'),
  });
});

describe('a report', () => {
  const step = {
    node: 'n1',
    connections: 1,
    moved: 1,
    all_back_ms: 1,
    absence_ms: { p50: 1, p99: 1, max: 1 },
    busiest_second: 1,
    lateness_ms: 0,
    closes: {},
    faults: [],
  };
  const good: Report = {
    signal: 'SIGTERM',
    owners: 1,
    every_ms: 100,
    steps: [step],
    owners_lost: 0,
    messages: { sent: 9, lost: 0, doubled: 0 },
  };

  it('names every promise that did not hold', () => {
    expect(brokenPromises(good)).toEqual([]);
    const messages = { sent: 9, lost: 2, doubled: 1 };
    const bad = { ...good, steps: [{ ...step, faults: ['closed with 1006'] }], owners_lost: 3, messages };
    expect(brokenPromises(bad)).toEqual([
      'n1: closed with 1006',
      '3 owners lost their session',
      '2 messages never arrived',
      '1 messages arrived twice',
    ]);
  });

  it('has percentiles', () => {
    const values = Array.from({ length: 100 }, (_, i) => 100 - i);
    expect([0.5, 0.99, 1].map((part) => percentile(values, part))).toEqual([51, 100, 100]);
    expect(percentile([], 0.5)).toBe(0);
  });
});
