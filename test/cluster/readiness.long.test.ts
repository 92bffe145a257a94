import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { GatewayCluster } from '../support/cluster.js';
import type { GatewayProcess } from '../support/gateway-process.js';
import { type PrivateRedis, redisCall, startPrivateRedis } from '../support/redis-process.js';

interface Readiness {
  http: number;
  reasons: string[];
  degraded: string[];
}

async function readiness({ internalUrl }: GatewayProcess): Promise<Readiness> {
  const answer = await fetch(`${internalUrl}/readyz`);
  const { reasons, degraded } = (await answer.json()) as Readiness;
  return { http: answer.status, reasons, degraded };
}

describe('readiness', () => {
  let redis: PrivateRedis;
  let cluster: GatewayCluster;

  beforeAll(async () => {
    redis = await startPrivateRedis();
    const user = ['ACL', 'SETUSER', 'first', 'on', '>hush', '~*', '&*', '+@all'] as const;
    await redisCall(redis.port, ...user);
    const own = `redis://first:hush@127.0.0.1:${redis.port}`;
    cluster = await GatewayCluster.start({ nodes: 3, redisUrls: [own, redis.url, redis.url] });
  });

  afterAll(async () => {
    await cluster.stop();
    await redis.stop();
  });

  const all = () => Promise.all(cluster.nodes.map(readiness));

  test('fails for the one node to which events are no longer delivered', async () => {
    await redisCall(redis.port, 'ACL', 'SETUSER', 'first', '-subscribe');
    await redisCall(redis.port, 'CLIENT', 'KILL', 'USER', 'first');
    const lost = { http: 503, reasons: ['events_not_delivered'], degraded: [] };
    const fine = { http: 200, reasons: [], degraded: [] };
    await expect.poll(all, { timeout: 15_000, interval: 250 }).toEqual([lost, fine, fine]);
    await redisCall(redis.port, 'ACL', 'SETUSER', 'first', '+subscribe');
    await expect.poll(all, { timeout: 10_000, interval: 250 }).toEqual([fine, fine, fine]);
  });

  test('stays while the store is away for all of them, which go on and say so', async () => {
    const resident = await cluster.connect(1);
    redis.pause();
    const without = { http: 200, reasons: [], degraded: ['store_unreachable'] };
    await expect.poll(all, { timeout: 10_000, interval: 250 }).toEqual([without, without, without]);
    for (let ms = 0; ms < 10_000; ms += 500) {
      expect((await all()).map(({ http }) => http)).toEqual([200, 200, 200]);
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
    const status = await (await fetch(`${cluster.node(1).internalUrl}/statusz`)).json();
    expect(status).toMatchObject({ status: 'ready', degraded: ['store_unreachable'], store: { reachable: false } });
    redis.resume();
    await Promise.all(cluster.nodes.map((node) => node.untilReady()));
    expect(resident.closed).toBeUndefined();
    // A node writes its log now and then.
    const said = () => cluster.node(1).log.map(({ msg }) => msg);
    await expect.poll(said).toContain('store works again');
    expect(said()).toContain('store does not work; open connections stay');
  }, 40_000);

  test('stays while the store takes no writes', async () => {
    await redisCall(redis.port, 'CONFIG', 'SET', 'min-replicas-to-write', 1);
    const readOnly = { http: 200, reasons: [], degraded: ['store_not_writable'] };
    await expect.poll(all, { timeout: 15_000, interval: 250 }).toEqual([readOnly, readOnly, readOnly]);
    await new Promise((resolve) => setTimeout(resolve, 6_000));
    expect(await all()).toEqual([readOnly, readOnly, readOnly]);
    await redisCall(redis.port, 'CONFIG', 'SET', 'min-replicas-to-write', 0);
    await Promise.all(cluster.nodes.map((node) => node.untilReady()));
  }, 40_000);
});
