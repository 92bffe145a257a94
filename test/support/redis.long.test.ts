import { Redis } from 'ioredis';
import { afterEach, expect, test } from 'vitest';
import { startPrivateRedis, testRedis } from './redis.js';
import { startRedisCluster } from './redis-cluster.js';
import { redisCall } from './redis-process.js';
import { startSentinel } from './redis-sentinel.js';

const toStop: { stop(): Promise<void> }[] = [];

afterEach(async () => {
  for (const server of toStop.splice(0)) await server.stop();
});

test('the shared Redis answers and evicts nothing', async () => {
  const redis = new Redis(testRedis().url);
  expect(await redis.config('GET', 'maxmemory-policy')).toContain('noeviction');
  redis.disconnect();
});

test('a private Redis can be killed, restarted and paused', async () => {
  const redis = await startPrivateRedis();
  toStop.push(redis);
  const first = redis.pid;
  await redisCall(redis.port, 'SET', 'key', 'value');
  await redis.kill();
  await expect(redisCall(redis.port, 'PING')).rejects.toThrow();
  await redis.restart();
  expect(redis.pid).not.toBe(first);
  expect(await redisCall(redis.port, 'GET', 'key')).toBeNull();
  redis.pause();
  const answer = redisCall(redis.port, 'PING');
  const soon = new Promise((resolve) => setTimeout(resolve, 100, 'silence'));
  expect(await Promise.race([answer.catch(() => 'refused'), soon])).toBe('silence');
  redis.resume();
  expect(await answer).toBe('PONG');
});

test('a cluster serves every slot', async () => {
  const cluster = await startRedisCluster();
  toStop.push(cluster);
  const owners = await Promise.all(
    cluster.masters.map(({ port }) => redisCall(port, 'SET', 'a', 1).catch((error: Error) => error.message)),
  );
  expect(owners.filter((answer) => answer === 'OK')).toHaveLength(1);
});

test('sentinels replace a dead master', async () => {
  const sentinel = await startSentinel();
  toStop.push(sentinel);
  expect(await sentinel.masterPort()).toBe(sentinel.master.port);
  await sentinel.master.kill();
  await expect.poll(() => sentinel.masterPort(), { timeout: 15_000, interval: 100 }).toBe(sentinel.replica.port);
});
