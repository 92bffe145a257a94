import { afterAll, beforeAll, expect, test } from 'vitest';
import { redisAnswers } from '../../src/store/redis/answers.js';
import { freePorts } from '../support/ports.js';
import { testRedis } from '../support/redis.js';
import { type RedisCluster, startRedisCluster } from '../support/redis-cluster.js';
import { type PrivateRedis, redisCall, startPrivateRedis } from '../support/redis-process.js';
import { type SentinelRedis, startSentinel } from '../support/redis-sentinel.js';

let redis: PrivateRedis;
let cluster: RedisCluster;
let sentinel: SentinelRedis;

beforeAll(async () => {
  [redis, cluster, sentinel] = await Promise.all([startPrivateRedis(), startRedisCluster(), startSentinel()]);
});

afterAll(() => Promise.all([redis, cluster, sentinel].map((one) => one.stop())));

test('a Redis that works answers, alone, behind Sentinels or as a Cluster', async () => {
  const { url, prefix } = testRedis();
  expect(await redisAnswers(url, `${prefix}:asked`)).toBe(true);
  for (const { url: other } of [cluster, sentinel]) expect(await redisAnswers(other, 'hf:asked')).toBe(true);
});

test('one that hangs does not, within a few seconds; nor one that is not there', async () => {
  const [port = 0] = await freePorts(1);
  expect(await redisAnswers(`redis://127.0.0.1:${port}`, 'hf:asked')).toBe(false);
  redis.pause();
  const startedMs = performance.now();
  expect(await redisAnswers(redis.url, 'hf:asked')).toBe(false);
  expect(performance.now() - startedMs).toBeLessThan(4_000);
  redis.resume();
  expect(await redisAnswers(redis.url, 'hf:asked')).toBe(true);
});

test('one that takes no writes does not', async () => {
  await redisCall(redis.port, 'CONFIG', 'SET', 'min-replicas-to-write', 1);
  expect(await redisAnswers(redis.url, 'hf:asked')).toBe(false);
  await redisCall(redis.port, 'CONFIG', 'SET', 'min-replicas-to-write', 0);
  await redisCall(redis.port, 'ACL', 'SETUSER', 'reader', 'on', '>hush', '~*', '+@all', '-@scripting');
  expect(await redisAnswers(redis.url.replace('//', '//reader:hush@'), 'hf:asked')).toBe(false);
  const [port = 0] = await freePorts(1);
  await redisCall(redis.port, 'REPLICAOF', '127.0.0.1', port);
  expect(await redisAnswers(redis.url, 'hf:asked')).toBe(false);
});
