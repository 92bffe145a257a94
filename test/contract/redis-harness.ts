import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { RedisBus } from '../../src/store/redis/bus.js';
import { connectRedis, type RedisConnection } from '../../src/store/redis/client.js';
import { RedisLock } from '../../src/store/redis/lock.js';
import { RedisOwnershipStore } from '../../src/store/redis/ownership-store.js';
import { quietStore, silent } from '../support/silent.js';
import type { BusHarness } from './bus.contract.js';
import { type MakeHarness, TEST_TIMINGS } from './harness.js';
import type { LockHarness } from './lock.contract.js';

interface TwoNodes {
  first: RedisConnection;
  second: RedisConnection;
  close(): Promise<void>;
}

/** Two nodes' connections, with a key prefix of their own; `close` deletes their keys. */
export async function connectTwo(url: string): Promise<TwoNodes> {
  const options = { prefix: `hft-${randomUUID().slice(0, 8)}`, log: silent, telemetry: quietStore };
  const [first, second] = await Promise.all([connectRedis(url, options), connectRedis(url, options)]);
  const close = async () => {
    for (const redis of first.masters()) {
      for await (const keys of redis.scanStream({ match: `${options.prefix}:*`, count: 1_000 })) {
        // One key a command: in a cluster they have different slots.
        await Promise.all((keys as string[]).map((key) => redis.unlink(key)));
      }
    }
    await Promise.all([first.close(), second.close()]);
  };
  return { first, second, close };
}

/** Makes the harnesses of all three contracts over the Redis that `url` gives. */
export function redisHarnesses(url: () => string) {
  const store: MakeHarness = async (overrides) => {
    const timings = { ...TEST_TIMINGS, ...overrides };
    const { first, second, close } = await connectTwo(url());
    const bus = new RedisBus(second);
    return {
      store: new RedisOwnershipStore(first, timings, quietStore),
      other: new RedisOwnershipStore(second, timings, quietStore),
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
  const bus = async (): Promise<BusHarness> => {
    const { first, second, close } = await connectTwo(url());
    const [own, other] = [new RedisBus(first), new RedisBus(second)];
    return {
      bus: own,
      other,
      close: async () => {
        await Promise.all([own.close(), other.close()]);
        await close();
      },
    };
  };
  const lock = async (): Promise<LockHarness> => {
    const { first, second, close } = await connectTwo(url());
    return { lock: new RedisLock(first), other: new RedisLock(second), ttlMs: 2_000, close };
  };
  return { store, bus, lock };
}
