import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Log } from '../../src/lib/log.js';
import { closesDue, type Drainable, drain, holdForMs } from '../../src/ops/drain.js';

const LOG = { debug() {}, info() {}, warn() {}, error() {} };
const HINT = { afterMs: 1_000, jitterMs: 4_000, graceMs: 30_000 };

/** A node whose connections leave when told to, or never; time passes only by sleeping. */
function node(count: number, stuck: (index: number) => boolean = () => false) {
  let nowMs = 0;
  const hints: number[][] = [];
  const leaves: { index: number; atMs: number; holdMs: number }[] = [];
  const connections = new Set<Drainable>();
  const add = (index: number) => {
    const connection = {
      open: true,
      hint: (afterMs: number, jitterMs: number) => void hints.push([afterMs, jitterMs]),
      async leave(holdMs: number) {
        connection.open = false;
        leaves.push({ index, atMs: nowMs, holdMs });
        if (!stuck(index)) connections.delete(connection);
      },
    };
    connections.add(connection);
  };
  for (let index = 0; index < count; index += 1) add(index);
  const run = (windowMs: number, deadlineMs: number, onSleep: () => void = () => {}, log: Log = LOG) =>
    drain({
      ...HINT,
      windowMs,
      deadlineMs,
      connections: () => connections,
      clock: { monotonicMs: () => nowMs, wallMs: () => 0 },
      log,
      sleep: async (ms) => {
        nowMs += ms;
        onSleep();
      },
    });
  return { run, add, hints, leaves, connections };
}

describe('draining', () => {
  it('hints all at once and closes them evenly', async () => {
    const { run, hints, leaves } = node(1000);
    expect(await run(10_000, 15_000)).toEqual({ total: 1000, left: 0, durationMs: expect.any(Number) });
    expect(hints).toEqual(Array.from({ length: 1000 }, () => [1_000, 4_000]));
    expect(leaves.map(({ index }) => index)).toEqual(Array.from({ length: 1000 }, (_, index) => index));
    const perSecond = Array.from(
      { length: 10 },
      (_, s) => leaves.filter(({ atMs }) => Math.floor(atMs / 1000) === s).length,
    );
    expect(Math.min(...perSecond)).toBeGreaterThanOrEqual(90);
    expect(Math.max(...perSecond)).toBeLessThanOrEqual(110);
    expect(new Set(leaves.map(({ holdMs }) => holdMs))).toEqual(new Set([30_000]));
  });

  it('ends as soon as all have left by themselves', async () => {
    const { run, connections, leaves } = node(10);
    const result = await run(10_000, 15_000, () => connections.clear());
    expect(result).toMatchObject({ left: 0, durationMs: 50 });
    expect(leaves).toEqual([]);
  });

  it('ends the earlier the more leave by themselves, at the same pace', async () => {
    const { run, connections, leaves } = node(100);
    const result = await run(10_000, 15_000, () => {
      for (const connection of [...connections].slice(0, -10))
        connections.delete(Object.assign(connection, { open: false }));
    });
    expect(result).toMatchObject({ total: 100, left: 0 });
    expect(leaves).toHaveLength(10);
    expect(result.durationMs).toBeLessThan(1_200);
    expect(result.durationMs).toBeGreaterThan(900);
  });

  it('tells how far it is', async () => {
    const lines: object[] = [];
    const log = { ...LOG, info: (fields: object, message: string) => lines.push({ message, ...fields }) };
    await node(1000).run(10_000, 15_000, () => {}, log);
    expect(lines).toEqual([
      { message: 'drain started', connections: 1000, window_ms: 10_000 },
      { message: 'drain under way', connections: 1000, left: 505 },
      { message: 'drain under way', connections: 1000, left: 5 },
      { message: 'drain ended', connections: 1000, left: 0, duration_ms: expect.any(Number) },
    ]);
  });

  it('gives up at the deadline on those that do not close', async () => {
    const { run } = node(10, (index) => index < 3);
    expect(await run(1_000, 1_500)).toEqual({ total: 10, left: 3, durationMs: 1_500 });
  });

  it('closes those too that had been on their way in', async () => {
    const { run, add, leaves } = node(1);
    let late = true;
    const result = await run(200, 1_000, () => {
      if (late) add(99);
      late = false;
    });
    expect(result.left).toBe(0);
    expect(leaves.map(({ index }) => index)).toContain(99);
  });

  it('takes no time without connections', async () => {
    expect(await node(0).run(10_000, 15_000)).toEqual({ total: 0, left: 0, durationMs: 0 });
  });
});

it('holds sessions until a client that does as hinted is back', () => {
  expect(holdForMs(HINT)).toBe(30_000);
  expect(holdForMs({ ...HINT, afterMs: 20_000, jitterMs: 20_000 })).toBeGreaterThan(40_000);
});

it('paces from none to all without ever going back', () => {
  fc.assert(
    fc.property(
      fc.nat(10_000),
      fc.integer({ min: 0, max: 60_000 }),
      fc.nat(70_000),
      fc.nat(1_000),
      (total, window, at, step) => {
        const now = closesDue(total, at, window);
        expect(now).toBeLessThanOrEqual(closesDue(total, at + step, window));
        expect(closesDue(total, window, window)).toBe(total);
        expect(Number.isInteger(now) && now >= 0 && now <= total).toBe(true);
      },
    ),
  );
});
