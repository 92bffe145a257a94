import { afterAll, beforeAll } from 'vitest';
import { type RedisCluster, startRedisCluster } from '../support/redis-cluster.js';
import { busContract } from './bus.contract.js';
import { lockContract } from './lock.contract.js';
import { redisLoginHarness } from './login-redis-harness.js';
import { loginStoreContract } from './login-store.contract.js';
import { redisMessageHarness } from './message-redis-harness.js';
import { messageStoreContract } from './messages.contract.js';
import { ownershipStoreContract } from './ownership-store.contract.js';
import { redisHarnesses } from './redis-harness.js';

let cluster: RedisCluster | undefined;

beforeAll(async () => {
  cluster = await startRedisCluster();
});

afterAll(() => cluster?.stop());

const url = () => cluster?.url ?? '';
const harnesses = redisHarnesses(url);

ownershipStoreContract('Redis Cluster', harnesses.store);
busContract('Redis Cluster', harnesses.bus);
lockContract('Redis Cluster', harnesses.lock);
messageStoreContract('Redis Cluster', redisMessageHarness(url));
loginStoreContract('Redis Cluster', redisLoginHarness(url));
