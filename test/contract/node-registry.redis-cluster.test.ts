import { afterAll, beforeAll } from 'vitest';
import { type RedisCluster, startRedisCluster } from '../support/redis-cluster.js';
import { nodeRegistryContract } from './node-registry.contract.js';
import { redisNodes } from './node-registry-redis-harness.js';

let cluster: RedisCluster | undefined;

beforeAll(async () => {
  cluster = await startRedisCluster();
});

afterAll(() => cluster?.stop());

nodeRegistryContract('Redis Cluster', () => redisNodes(cluster?.url ?? ''));
