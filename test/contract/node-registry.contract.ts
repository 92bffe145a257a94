import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { NodeRegistry, NodeReport } from '../../src/ops/ports.js';

export interface NodeRegistryHarness {
  nodes: NodeRegistry;
  /** Another node's over the same data; where there is only one node, the same. */
  other: NodeRegistry;
  /** By the clock of the store's machine. */
  nowMs(): number;
  /** Lets the store's time pass for a node that says nothing. */
  age(node: NodeReport, ms: number): Promise<void>;
  close(): Promise<void>;
}

const HOUR_MS = 3_600_000;

function report(nodeId: string, rest: Partial<NodeReport> = {}): NodeReport {
  const bootId = randomUUID();
  const base = { version: '1.2.3', state: 'ready', connections: 7, leases: 3, configFingerprint: 'abc' } as const;
  return { nodeId, bootId, ...base, ...rest };
}

export function nodeRegistryContract(name: string, make: () => Promise<NodeRegistryHarness>): void {
  describe(`node registry: ${name}`, () => {
    let harness: NodeRegistryHarness;

    beforeAll(async () => {
      harness = await make();
    });

    afterAll(() => harness.close());

    const named = async (nodeId: string) => (await harness.other.list()).filter((node) => node.nodeId === nodeId);

    test('a node is listed as it last said, on every node', async () => {
      const first = report('a');
      const storeMs = await harness.nodes.beat(first);
      expect(Math.abs(storeMs - harness.nowMs())).toBeLessThan(5_000);
      const then = { ...first, state: 'draining', connections: 0, shedding: { id: 'x', left: 4 } } as const;
      await harness.nodes.beat(then);
      const [listed, ...others] = await named('a');
      expect(others).toEqual([]);
      expect(listed).toEqual({ ...then, silentMs: expect.any(Number) });
      expect(listed?.silentMs).toBeLessThan(5_000);
    });

    test('they are listed by name, numbers by their value', async () => {
      for (const nodeId of ['n10', 'n9', 'n1']) await harness.nodes.beat(report(nodeId));
      const names = (await harness.other.list()).map(({ nodeId }) => nodeId).filter((nodeId) => nodeId.startsWith('n'));
      expect(names).toEqual(['n1', 'n9', 'n10']);
    });

    test('a node that leaves is gone at once, and no other process of it', async () => {
      const [old, next] = [report('b'), report('b')];
      await harness.nodes.beat(old);
      await harness.nodes.beat(next);
      await harness.other.leave(old);
      expect((await named('b')).map(({ bootId }) => bootId)).toEqual([next.bootId]);
      await harness.other.leave(old);
      expect(await named('b')).toHaveLength(1);
    });

    test('a silent node stays listed with its silence; the process that followed it comes first', async () => {
      const [old, next] = [report('c'), report('c')];
      await harness.nodes.beat(old);
      await harness.age(old, 20_000);
      await harness.nodes.beat(next);
      const [first, second] = await named('c');
      expect([first?.bootId, second?.bootId]).toEqual([next.bootId, old.bootId]);
      expect(second?.silentMs).toBeGreaterThanOrEqual(20_000);
    });

    test('a node that was silent for an hour is forgotten, and comes back with its next beat', async () => {
      const node = report('d');
      await harness.nodes.beat(node);
      await harness.age(node, HOUR_MS + 1);
      expect(await named('d')).toEqual([]);
      await harness.nodes.beat(node);
      expect(await named('d')).toHaveLength(1);
    });
  });
}
