import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { ListedNode } from '../../src/ops/ports.js';
import { surplusOf } from '../../src/ops/rebalance.js';

function nodes(...connections: number[]): ListedNode[] {
  const base = { version: '1', state: 'ready', leases: 0, configFingerprint: '', silentMs: 0 } as const;
  return connections.map((count, i) => Object.assign({ nodeId: `n${i}`, bootId: `b${i}`, connections: count }, base));
}

function counts(all: ListedNode[], spreadPercent: number): [string, number, number][] {
  return surplusOf(all, { spreadPercent, maxRate: 30 }).map(({ node, count, perSecond }) => [
    node.nodeId,
    count,
    perSecond,
  ]);
}

it('takes what is above the mean from those that are far above it, in proportion', () => {
  expect(counts(nodes(60, 0, 0), 10)).toEqual([['n0', 40, 30]]);
  expect(counts(nodes(160, 130, 10), 10)).toEqual([
    ['n0', 60, 20],
    ['n1', 30, 10],
  ]);
});

it('leaves alone what is even enough, and what cannot be evener', () => {
  expect(counts(nodes(110, 100, 90), 10)).toEqual([]);
  expect(counts(nodes(111, 100, 89), 10)).toEqual([['n0', 11, 30]]);
  expect(counts(nodes(2, 1, 1), 10)).toEqual([]);
  for (const none of [[], [500], [0, 0]]) expect(counts(nodes(...none), 10)).toEqual([]);
});

it('takes no node below the mean and keeps to the rate, whatever there is', () => {
  const anything = fc.array(fc.nat(100_000), { minLength: 1, maxLength: 20 });
  fc.assert(
    fc.property(anything, fc.nat(200), fc.integer({ min: 1, max: 10_000 }), (connections, spreadPercent, maxRate) => {
      const surplus = surplusOf(nodes(...connections), { spreadPercent, maxRate });
      const mean = connections.reduce((sum, count) => sum + count, 0) / connections.length;
      for (const { node, count, perSecond } of surplus) {
        expect(node.connections - count).toBeGreaterThanOrEqual(mean);
        expect(count / perSecond).toBeGreaterThan(0);
      }
      const rate = surplus.reduce((sum, { perSecond }) => sum + perSecond, 0);
      expect(rate).toBeLessThanOrEqual(maxRate * 1.000001);
      expect(surplus.length).toBeLessThan(Math.max(2, connections.length));
    }),
  );
});
