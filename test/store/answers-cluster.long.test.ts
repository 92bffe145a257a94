/** Whether the store answers, asked of a Cluster that works in part. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { redisAnswers } from '../../src/store/redis/answers.js';
import { connectRedis, type RedisConnection } from '../../src/store/redis/client.js';
import { Keys } from '../../src/store/redis/keys.js';
import { type RedisCluster, startRedisCluster } from '../support/redis-cluster.js';
import { redisCall } from '../support/redis-process.js';
import { quietStore, silent } from '../support/silent.js';

describe('a Cluster', () => {
  let cluster: RedisCluster;
  let connection: RedisConnection;

  beforeAll(async () => {
    cluster = await startRedisCluster({ args: ['--cluster-node-timeout', '60000'] });
    connection = await connectRedis(cluster.url, { prefix: 'hf', log: silent, telemetry: quietStore });
  });

  afterAll(async () => {
    await connection.close();
    await cluster.stop();
  });

  const answers = () => redisAnswers(cluster.url, asked, connection.masters());

  const { nodes, asked } = new Keys('hf');

  test('is asked where the nodes are listed', async () => {
    const slotOf = (key: string) => redisCall(cluster.masters[0]?.port ?? 0, 'CLUSTER', 'KEYSLOT', key);
    expect(await slotOf(asked)).toBe(await slotOf(nodes));
  });

  test('does not answer while that server takes no writes', async () => {
    const limit = (bytes: number) =>
      Promise.all(cluster.masters.map(({ port }) => redisCall(port, 'CONFIG', 'SET', 'maxmemory', bytes)));
    await limit(1);
    expect(await answers()).toBe(false);
    await limit(0);
    expect(await answers()).toBe(true);
  });

  test('does not while any of its masters hangs', async () => {
    cluster.masters[0]?.pause();
    expect(await answers()).toBe(false);
    cluster.masters[0]?.resume();
    expect(await answers()).toBe(true);
  });
});
