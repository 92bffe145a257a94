import { expect, test } from 'vitest';
import type { NodeReport } from '../../src/ops/ports.js';
import { testRedis } from '../support/redis.js';
import { nodeRegistryContract } from './node-registry.contract.js';
import { redisNodes } from './node-registry-redis-harness.js';

nodeRegistryContract('Redis', () => redisNodes(testRedis().url));

test('what is forgotten is gone from Redis, and all of it when nobody beats any more', async () => {
  const { connection, nodes, age, close } = await redisNodes(testRedis().url);
  const old: NodeReport = {
    nodeId: 'old',
    bootId: 'old',
    version: '1',
    state: 'ready',
    connections: 0,
    leases: 0,
    configFingerprint: '',
  };
  const next = { ...old, nodeId: 'next', bootId: 'next' };
  await nodes.beat(old);
  await age(old, 3_600_001);
  await nodes.beat(next);
  const { commands, keys } = connection;
  expect(await commands.zrange(keys.nodes, '0', '-1')).toEqual(['next|next']);
  expect(await commands.hkeys(keys.nodeReports)).toEqual(['next|next']);
  for (const key of [keys.nodes, keys.nodeReports]) expect(await commands.pttl(key)).toBeGreaterThan(3_590_000);
  await close();
});
