import { afterAll, beforeAll } from 'vitest';
import { type RedisCluster, startRedisCluster } from '../support/redis-cluster.js';
import { outboxContract } from './outbox.contract.js';
import { redisOutbox } from './outbox-redis-harness.js';

let cluster: RedisCluster | undefined;

beforeAll(async () => {
  cluster = await startRedisCluster();
});

afterAll(() => cluster?.stop());

outboxContract('Redis Cluster', ({ sessionIdleMs = 0 } = {}) => redisOutbox(cluster?.url ?? '', { sessionIdleMs }));
