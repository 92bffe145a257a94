import { expect, test } from 'vitest';
import { broken, runScenario } from '../../bench/outages/run-scenario.js';

const SIZE = { sessions: 20, rate: 5 };

test.each(['redis-restart', 'sentinel-planned'] as const)(
  '%s under load: what ARCHITECTURE.md promises holds, and everything works again',
  async (name) => {
    const progress: string[] = [];
    const result = await runScenario(name, SIZE, (line) => progress.push(line));
    expect(broken(result), [...progress, ...result.examples].join('\n')).toEqual([]);
    // Everybody was at work, and the fault was felt.
    for (const { ok } of Object.values(result.verbs)) expect(ok).toBeGreaterThan(10);
    expect(result.findings['reset, recovered']).toBeGreaterThan(SIZE.sessions);
  },
  120_000,
);
