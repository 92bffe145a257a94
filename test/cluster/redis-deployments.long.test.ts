import { afterAll, describe, expect, test } from 'vitest';
import { type RedisCluster, startRedisCluster } from '../support/redis-cluster.js';
import { redisCall } from '../support/redis-process.js';
import { type SentinelRedis, startSentinel } from '../support/redis-sentinel.js';
import { inspect, newSession, own, seen, useCluster, watch } from './use-cluster.js';

const PREFIX = 'hft-';

describe('nodes over Redis Sentinel', () => {
  let sentinel: SentinelRedis | undefined;
  // Registered first, so that it runs last.
  afterAll(() => sentinel?.stop());
  const cluster = useCluster(async () => {
    sentinel = await startSentinel();
    return { nodes: 2, graceMs: 5_000, redisUrl: sentinel.url };
  });

  test('the master dies: owners keep or regain their sessions or are told, and the gateway goes on', async () => {
    const sessions = Array.from({ length: 6 }, () => newSession());
    const owner = await cluster().connect(0);
    const watcher = await cluster().connect(1);
    const epochs: number[] = [];
    for (const session of sessions) {
      epochs.push((await own(owner, session)).epoch);
      await watch(watcher, session);
    }
    await sentinel?.master.kill();
    await expect.poll(() => sentinel?.masterPort(), { timeout: 20_000, interval: 200 }).toBe(sentinel?.replica.port);
    await Promise.all(cluster().nodes.map((node) => node.untilReady()));

    for (const [i, session] of sessions.entries()) {
      const lost = owner.all('ownership_lost').findLast((it) => it.session_id === session);
      const truth = await inspect(cluster().node(1), session);
      // A promoted replica may lack the last write: then the epoch is a new one, never an old one again.
      expect(truth.owner_epoch).toBeGreaterThanOrEqual(epochs[i] ?? 0);
      if (lost === undefined || lost.reason === 'lease_unconfirmed') expect(truth.connection_id).toBe(owner.id);
    }
    const fresh = newSession();
    const { epoch } = await own(await cluster().connect(1), fresh);
    expect(epoch).toBeGreaterThan(Math.max(...epochs));
    const last = await watcher.subscribe(fresh);
    expect(last).toMatchObject({ owner: false, state: 'owned' });
  }, 60_000);
});

describe('nodes over a Redis Cluster', () => {
  let redis: RedisCluster | undefined;
  afterAll(() => redis?.stop());
  const cluster = useCluster(async () => {
    redis = await startRedisCluster();
    return { nodes: 2, redisUrl: redis.url };
  });

  test('sessions are spread over the masters and move between nodes as they do on one', async () => {
    const sessions = Array.from({ length: 30 }, () => newSession());
    const owner = await cluster().connect(0);
    const watcher = await cluster().connect(1);
    const tokens: string[] = [];
    for (const session of sessions) {
      tokens.push((await own(owner, session)).token);
      await watch(watcher, session);
    }
    for (const { port } of redis?.masters ?? []) {
      const records = (await redisCall(port, 'KEYS', `${PREFIX}*:owner`)) as string[];
      expect(records.length).toBeGreaterThan(0);
    }
    await cluster().node(0).kill();
    const back = await cluster().connect(1);
    const half = sessions.length / 2;
    for (const [i, session] of sessions.slice(0, half).entries()) {
      await own(back, session, { reconnect_token: tokens[i] ?? '' });
    }
    for (const [i, session] of sessions.entries()) {
      await watcher.nextOwnership(session, i < half ? 'owned' : 'free', 10_000);
      expect(seen(watcher, session)).toEqual([i < half ? 'owned reclaimed' : 'free expired']);
    }
  }, 40_000);
});
