import { describe, expect, it } from 'vitest';
import type { Log } from '../../src/lib/log.js';
import { type Drainable, drain, holdForMs } from '../../src/ops/drain.js';

const LOG = { debug() {}, info() {}, warn() {}, error() {} };
const SPREAD_MS = 5_000;

/** A node whose connections leave when told to, or never; time passes only by sleeping. */
function node(count: number, stuck: (index: number) => boolean = () => false) {
  let nowMs = 0;
  const hints = new Map<number, number[][]>();
  const leaves: { index: number; atMs: number; holdMs: number }[] = [];
  const connections = new Set<Drainable>();
  const add = (index: number) => {
    const connection = {
      open: true,
      hint: (afterMs: number, jitterMs: number) =>
        void hints.set(index, [...(hints.get(index) ?? []), [afterMs, jitterMs]]),
      async leave(holdMs: number) {
        connection.open = false;
        leaves.push({ index, atMs: nowMs, holdMs });
        if (!stuck(index)) connections.delete(connection);
      },
    };
    connections.add(connection);
  };
  for (let index = 0; index < count; index += 1) add(index);
  const run = (
    perSecond: number,
    deadlineMs: number,
    onSleep: () => void = () => {},
    { log = LOG, lateMs = 0 }: { log?: Log; lateMs?: number } = {},
  ) =>
    drain({
      graceMs: 30_000,
      spreadMs: SPREAD_MS,
      perSecond,
      deadlineMs,
      connections: () => connections,
      clock: { monotonicMs: () => nowMs, wallMs: () => 0 },
      log,
      sleep: async (ms) => {
        nowMs += ms + lateMs;
        onSleep();
      },
    });
  return { run, add, hints, leaves, connections };
}

describe('draining', () => {
  it('hints all at once, closes them evenly, and tells each in its turn to come back at once', async () => {
    const { run, hints, leaves } = node(1000);
    expect(await run(125, 15_000)).toEqual({ total: 1000, left: 0, durationMs: expect.any(Number) });
    expect([...hints.values()]).toEqual(
      Array.from({ length: 1000 }, () => [
        [0, SPREAD_MS],
        [0, 0],
      ]),
    );
    expect(leaves.map(({ index }) => index)).toEqual(Array.from({ length: 1000 }, (_, index) => index));
    const perSecond = Array.from(
      { length: 10 },
      (_, s) => leaves.filter(({ atMs }) => Math.floor(atMs / 1000) === s).length,
    );
    expect(Math.min(...perSecond)).toBeGreaterThanOrEqual(90);
    expect(Math.max(...perSecond)).toBeLessThanOrEqual(110);
    expect(new Set(leaves.map(({ holdMs }) => holdMs))).toEqual(new Set([30_000]));
  });

  it('closes in time what a busy node could not close in pace, to come back over a while', async () => {
    const { run, hints, leaves } = node(100);
    // Half a second late at every step, in which five may go.
    expect(await run(25, 5_000, undefined, { lateMs: 500 })).toMatchObject({ total: 100, left: 0 });
    const atLast = leaves.filter(({ atMs }) => atMs >= 4_500);
    expect(atLast.length).toBeGreaterThan(40);
    expect(new Set(atLast.map(({ atMs }) => atMs)).size).toBe(1);
    for (const { index } of atLast) expect(hints.get(index)).toEqual([[0, SPREAD_MS]]);
  });

  it('ends as soon as all have left by themselves', async () => {
    const { run, connections, leaves } = node(10);
    const result = await run(10, 15_000, () => connections.clear());
    expect(result).toMatchObject({ left: 0, durationMs: 50 });
    expect(leaves).toEqual([]);
  });

  it('ends the earlier the more leave by themselves, at the same pace', async () => {
    const { run, connections, leaves } = node(100);
    const result = await run(12.5, 15_000, () => {
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
    await node(1000).run(125, 15_000, undefined, { log });
    expect(lines).toEqual([
      { message: 'drain started', connections: 1000, per_second: 125 },
      { message: 'drain under way', connections: 1000, left: 505 },
      { message: 'drain under way', connections: 1000, left: 5 },
      { message: 'drain ended', connections: 1000, left: 0, duration_ms: expect.any(Number) },
    ]);
  });

  it('gives up at the deadline on those that do not close', async () => {
    const { run } = node(10, (index) => index < 3);
    expect(await run(20, 1_500)).toEqual({ total: 10, left: 3, durationMs: 1_500 });
  });

  it('closes those too that had been on their way in', async () => {
    const { run, add, leaves } = node(1);
    let late = true;
    const result = await run(10, 1_000, () => {
      if (late) add(99);
      late = false;
    });
    expect(result.left).toBe(0);
    expect(leaves.map(({ index }) => index)).toContain(99);
  });

  it('takes no time without connections', async () => {
    expect(await node(0).run(100, 15_000)).toEqual({ total: 0, left: 0, durationMs: 0 });
  });
});

it('holds sessions until a client that does as hinted is back', () => {
  expect(holdForMs(30_000)).toBe(30_000);
  expect(holdForMs(30_000, 40_000)).toBeGreaterThan(40_000);
});
