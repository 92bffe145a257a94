import { testRedis } from '../support/redis.js';
import { busContract } from './bus.contract.js';
import { lockContract } from './lock.contract.js';
import { ownershipStoreContract } from './ownership-store.contract.js';
import { redisHarnesses } from './redis-harness.js';

const harnesses = redisHarnesses(() => testRedis().url);

ownershipStoreContract('Redis', harnesses.store);
busContract('Redis', harnesses.bus);
lockContract('Redis', harnesses.lock);
