import { setTimeout as sleep } from 'node:timers/promises';
import { RedisBus } from '../../src/store/redis/bus.js';
import { RedisLock } from '../../src/store/redis/lock.js';
import { RedisMessageStore } from '../../src/store/redis/message-store.js';
import { RedisOwnershipStore } from '../../src/store/redis/ownership-store.js';
import { quietStore } from '../support/silent.js';
import { TEST_TIMINGS } from './harness.js';
import type { MakeMessageHarness } from './message-harness.js';
import { connectTwo } from './redis-harness.js';

/** Over the Redis that `url` gives, with a key prefix of its own. */
export const redisMessageHarness =
  (url: () => string): MakeMessageHarness =>
  async (timings) => {
    const { first, second, close } = await connectTwo(url());
    const bus = new RedisBus(second);
    return {
      store: new RedisMessageStore(first, quietStore),
      other: new RedisMessageStore(second, quietStore),
      ownership: new RedisOwnershipStore(first, { ...TEST_TIMINGS, ...timings }, quietStore),
      bus,
      lock: new RedisLock(first),
      // Times in the store are whole ms.
      wait: (ms) => sleep(ms + 1),
      close: async () => {
        await bus.close();
        await close();
      },
    };
  };
