import { setTimeout as sleep } from 'node:timers/promises';
import { RedisBus } from '../../src/store/redis/bus.js';
import { RedisPresenceStore } from '../../src/store/redis/presence-store.js';
import type { MakePresenceHarness } from './presence.contract.js';
import { connectTwo } from './redis-harness.js';

/** Presence over the Redis that `url` gives. */
export function redisPresenceHarness(url: () => string): MakePresenceHarness {
  return async (timings) => {
    const { first, second, close } = await connectTwo(url());
    const bus = new RedisBus(second);
    return {
      store: new RedisPresenceStore(first, timings),
      other: new RedisPresenceStore(second, timings),
      bus,
      wait: (ms) => sleep(ms),
      close: async () => {
        await bus.close();
        await close();
      },
    };
  };
}
