import { RedisBus } from '../../src/store/redis/bus.js';
import { RedisLock } from '../../src/store/redis/lock.js';
import { busContract } from './bus.contract.js';
import { lockContract } from './lock.contract.js';
import { ownershipStoreContract } from './ownership-store.contract.js';
import { connectTwo, redisHarness } from './redis-harness.js';

ownershipStoreContract('Redis', redisHarness);

busContract('Redis', async () => {
  const { first, second, close } = await connectTwo();
  const [bus, other] = [new RedisBus(first), new RedisBus(second)];
  return {
    bus,
    other,
    close: async () => {
      await Promise.all([bus.close(), other.close()]);
      await close();
    },
  };
});

lockContract('Redis', async () => {
  const { first, second, close } = await connectTwo();
  return { lock: new RedisLock(first), other: new RedisLock(second), ttlMs: 2_000, close };
});
