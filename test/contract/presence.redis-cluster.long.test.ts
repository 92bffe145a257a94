import { afterAll, beforeAll } from 'vitest';
import { type RedisCluster, startRedisCluster } from '../support/redis-cluster.js';
import { presenceContract } from './presence.contract.js';
import { redisPresenceHarness } from './presence-redis-harness.js';

let cluster: RedisCluster | undefined;

beforeAll(async () => {
  cluster = await startRedisCluster();
});

afterAll(() => cluster?.stop());

presenceContract(
  'Redis Cluster',
  redisPresenceHarness(() => cluster?.url ?? ''),
);
