import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { eventually, redisCall } from '../support/redis-process.js';
import { type SentinelRedis, startSentinel } from '../support/redis-sentinel.js';
import { numbered, type WatchedBus, watchedBus } from './bus-harness.js';

let sentinel: SentinelRedis;
let node: WatchedBus;

beforeAll(async () => {
  sentinel = await startSentinel();
});

afterAll(() => sentinel.stop());

beforeEach(async () => {
  node = await watchedBus(sentinel.url);
  await eventually('a healthy bus', async () => node.bus.healthy());
});

afterEach(() => node.close());

test('after a failover the subscriptions are at the new master, and the gap is reported', async () => {
  await node.bus.subscribe('s');
  await sentinel.master.kill();
  await expect.poll(() => node.bus.healthy()).toBe(false);
  await expect.poll(() => node.bus.healthy(), { timeout: 15_000 }).toBe(true);
  expect(node.gaps).toBeGreaterThan(0);
  expect(await sentinel.masterPort()).toBe(sentinel.replica.port);
  await node.bus.publish(numbered('s', 1));
  await expect.poll(() => node.of('s')).toEqual([1]);
  const channel = node.connection.keys.channel('s');
  expect(await redisCall(sentinel.replica.port, 'PUBSUB', 'NUMSUB', channel)).toEqual([channel, 1]);
});
