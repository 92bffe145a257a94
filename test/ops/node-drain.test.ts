import { describe, expect, it } from 'vitest';
import { drainPace, NodeDrain } from '../../src/ops/node-drain.js';
import type { NodeDirective } from '../../src/ops/ports.js';
import { busiestSecond } from '../support/busiest-second.js';
import { FakeConnections } from './fake-connections.js';

const DRAIN_MS = 10_000;

function node(count: number, drainRate = 0, shortestGraceMs = 30_000) {
  const connections = new FakeConnections(count);
  const upgrades: (number | 'accepted')[] = [];
  const drain = new NodeDrain({
    ...connections.options,
    drainMs: DRAIN_MS,
    drainRate,
    shortestGraceMs,
    refuseUpgrades: (retryAfterMs) => upgrades.push(retryAfterMs),
    acceptUpgrades: () => upgrades.push('accepted'),
  });
  return { connections, drain, upgrades, pass: (ms: number) => connections.pass(ms), left: connections.left };
}

const shedding = (count: number, perSecond: number, id = 'one'): NodeDirective => ({
  kind: 'node_shed',
  bootId: 'b',
  id,
  count,
  perSecond,
});

describe('the pace of a drain', () => {
  it('is what its time needs, 100 a second for few connections, or as the rate says', () => {
    const none = { drainMs: DRAIN_MS, drainRate: 0 };
    expect(drainPace(100_000, none, true)).toBe(15_625);
    expect(drainPace(100, none, true)).toBe(100);
    const paced = { drainMs: DRAIN_MS, drainRate: 50 };
    expect(drainPace(300, paced, true)).toBe(50);
    // A process that ends cannot keep a pace for which there is no time; one that stays can.
    expect(drainPace(10_000, paced, true)).toBe(1_562.5);
    expect(drainPace(10_000, paced, false)).toBe(50);
  });
});

describe('a drain at the end of the process', () => {
  it('tells all at once to come back over the time that it takes, and each in its turn to come at once', async () => {
    const { connections, drain, pass, left } = node(400);
    const finished = drain.finish();
    expect(connections.hinted).toEqual(Array.from({ length: 400 }, () => 5_000));
    await pass(DRAIN_MS);
    expect(await finished).toMatchObject({ total: 400, left: 0 });
    expect(new Set(left.map(({ jitterMs }) => jitterMs))).toEqual(new Set([0]));
    expect(busiestSecond(left.map(({ atMs }) => atMs))).toBeLessThanOrEqual(100);
  });

  it('leaves those time to take back what they owned, should the process be killed', () => {
    for (const graceMs of [4_000, 1_000]) {
      const { connections, drain } = node(400, 0, graceMs);
      void drain.finish();
      expect(new Set(connections.hinted)).toEqual(new Set([graceMs / 2]));
    }
  });
});

describe('a drain by command', () => {
  it('refuses upgrades, closes all in pace, and leaves the node drained', async () => {
    const { drain, upgrades, pass, left } = node(50, 50);
    expect(drain.status()).toEqual({ state: 'none', total: 0, left: 0, window_ms: 0 });
    drain.drain();
    drain.drain();
    expect(upgrades).toEqual([1_000]);
    await pass(500);
    const half = drain.status();
    expect(half).toMatchObject({ state: 'draining', total: 50, window_ms: 1_250 });
    expect(Math.abs(half.left - 30)).toBeLessThanOrEqual(4);
    await pass(900);
    expect(drain.status()).toMatchObject({ state: 'drained', left: 0, started_at: expect.any(String) });
    expect(left).toHaveLength(50);
    expect(new Set(left.map(({ reason, holdMs }) => `${reason} ${holdMs}`))).toEqual(new Set(['drain 30000']));
  });

  it('takes the time that its rate needs, longer than a process that ends would have', async () => {
    const { drain, pass, left } = node(30, 1);
    drain.drain();
    await pass(DRAIN_MS + 5_000);
    expect(drain.status().state).toBe('draining');
    expect(left).toHaveLength(12);
    await pass(24_000);
    expect(drain.status().state).toBe('drained');
  });

  it('ends with undrain, and those that were not told to close stay', async () => {
    const { connections, drain, upgrades, pass } = node(100, 100);
    drain.drain();
    await pass(500);
    drain.undrain();
    const { size } = connections.all;
    expect(size).toBeGreaterThan(40);
    expect(upgrades).toEqual([1_000, 'accepted']);
    await pass(2_000);
    expect([connections.all.size, drain.status().state, drain.draining]).toEqual([size, 'none', false]);
  });

  it('can be followed by another one', async () => {
    const { connections, drain, pass } = node(10);
    drain.drain();
    await pass(200);
    drain.undrain();
    connections.add();
    drain.drain();
    await pass(500);
    expect(drain.status()).toMatchObject({ state: 'drained', left: 0 });
  });

  it('goes on as that of the process when that is told to end, and can no longer be undone', async () => {
    const { drain, upgrades, pass } = node(30, 1);
    drain.drain();
    await pass(2_600);
    const finished = drain.finish();
    drain.undrain();
    await pass(DRAIN_MS);
    expect(await finished).toMatchObject({ left: 0, total: 28 });
    expect(upgrades).not.toContain('accepted');
  });
});

describe('a rebalance', () => {
  it('closes so many of the oldest connections, at its rate and no more, and takes upgrades', async () => {
    const { drain, upgrades, pass, left } = node(60);
    drain.obey(shedding(40, 20));
    await pass(1_000);
    expect(drain.shedding).toEqual({ id: 'one', left: 40 - left.length });
    await pass(2_000);
    expect(left.map(({ index }) => index)).toEqual(Array.from({ length: 40 }, (_, index) => index));
    for (const [i, { atMs }] of left.entries()) expect(i + 1).toBeLessThanOrEqual((atMs * 20) / 1_000);
    expect(left.at(-1)?.atMs).toBeLessThan(2_600);
    expect(new Set(left.map(({ reason }) => reason))).toEqual(new Set(['rebalance']));
    expect([drain.shedding?.left, drain.status().state, upgrades]).toEqual([0, 'none', []]);
  });

  it('ends when nobody is left to close', async () => {
    const { drain, pass } = node(5);
    drain.obey(shedding(40, 100));
    await pass(500);
    expect(drain.shedding).toEqual({ id: 'one', left: 0 });
  });

  it('takes the place of an earlier one', async () => {
    const { drain, pass, left } = node(100);
    drain.obey(shedding(50, 10));
    await pass(1_000);
    const { length } = left;
    drain.obey(shedding(5, 50, 'two'));
    await pass(5_000);
    expect([left.length, drain.shedding]).toEqual([length + 5, { id: 'two', left: 0 }]);
  });

  it('ends with a drain, and does nothing during one', async () => {
    const { drain, pass, left } = node(100, 100);
    drain.obey(shedding(50, 10));
    drain.drain();
    await pass(100);
    expect(drain.shedding?.left).toBe(0);
    drain.obey(shedding(50, 1_000, 'two'));
    expect(drain.shedding).toEqual({ id: 'two', left: 0 });
    await pass(1_500);
    expect(left.filter(({ reason }) => reason === 'rebalance')).toEqual([]);
  });
});
