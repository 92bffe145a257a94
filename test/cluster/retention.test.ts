import { expect, test } from 'vitest';
import { redisCall } from '../support/redis-process.js';
import { newSession, own, useCluster } from './use-cluster.js';

const cluster = useCluster({ nodes: 1 });

test('the record of a session goes an hour and the longest lease after its end', async () => {
  const session = newSession();
  const client = await cluster().connect(0);
  await own(client, session);
  const { port } = cluster().redis;
  const [key = ''] = (await redisCall(port, 'KEYS', `*:s:${session}:owner`)) as string[];
  const ttlMs = async () => Number(await redisCall(port, 'PTTL', key));
  const retentionMs = 3_600_000 + cluster().leaseMs;
  expect(await ttlMs()).toBeLessThanOrEqual(retentionMs + cluster().leaseMs);
  await client.release(session);
  expect(await ttlMs()).toBeLessThanOrEqual(retentionMs);
  expect(await ttlMs()).toBeGreaterThan(retentionMs - 60_000);
});
