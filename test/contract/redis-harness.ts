import { setTimeout as sleep } from 'node:timers/promises';
import type { Log } from '../../src/lib/log.js';
import { RedisBus } from '../../src/store/redis/bus.js';
import { connectRedis, type RedisConnection } from '../../src/store/redis/client.js';
import { RedisLock } from '../../src/store/redis/lock.js';
import { RedisOwnershipStore } from '../../src/store/redis/ownership-store.js';
import type { StoreTelemetry } from '../../src/store/redis/telemetry.js';
import { testRedis } from '../support/redis.js';
import { type MakeHarness, TEST_TIMINGS } from './harness.js';

const silentLog: Log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
const telemetry: StoreTelemetry = { command: () => {}, connection: () => {}, gap: () => {}, probe: () => {} };

/** Two nodes' connections to the run's Redis, under a prefix of their own, whose keys `close` deletes. */
export async function connectTwo(): Promise<{
  first: RedisConnection;
  second: RedisConnection;
  close(): Promise<void>;
}> {
  const { url, prefix } = testRedis();
  const options = { prefix, log: silentLog, telemetry };
  const [first, second] = await Promise.all([connectRedis(url, options), connectRedis(url, options)]);
  const close = async () => {
    for (const redis of first.masters()) {
      for await (const keys of redis.scanStream({ match: `${prefix}:*`, count: 1_000 })) {
        if (keys.length > 0) await redis.unlink(keys);
      }
    }
    await Promise.all([first.close(), second.close()]);
  };
  return { first, second, close };
}

export const redisHarness: MakeHarness = async (overrides) => {
  const timings = { ...TEST_TIMINGS, ...overrides };
  const { first, second, close } = await connectTwo();
  const bus = new RedisBus(second);
  return {
    store: new RedisOwnershipStore(first, timings, telemetry),
    other: new RedisOwnershipStore(second, timings, telemetry),
    bus,
    lock: new RedisLock(first),
    timings,
    wait: (ms) => sleep(ms),
    close: async () => {
      await bus.close();
      await close();
    },
  };
};
