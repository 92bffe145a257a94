import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { PARTITION_TAGS, partitionOf } from '../../src/store/redis/partitions.js';
import { inspect, useCluster } from '../cluster/use-cluster.js';
import { backendCall, historyOf } from '../support/message-calls.js';
import { moveSlot, type RedisCluster, startRedisCluster } from '../support/redis-cluster.js';
import { eventually, type PrivateRedis, redisCall, startPrivateRedis } from '../support/redis-process.js';
import { TcpProxy } from '../support/tcp-proxy.js';
import { Campaign, FAULTS_MS, type Fault, NODES, nodeFaults, SEED, SESSIONS } from './message-campaign.js';

const ARGS = [
  ['--history-count', '400'],
  ['--max-message-bytes', '8192'],
  ['--send-queue-bytes', '65536'],
  ['--compress-above-bytes', '1000'],
  ['--messages-per-second', '10000'],
].flat();
/** Nothing that was answered is lost with the process. */
const DURABLE = ['--appendonly', 'yes', '--appendfsync', 'always'];

describe('messages under random faults', () => {
  const cluster = useCluster({ nodes: NODES, proxied: true, args: ARGS, redis: { args: DURABLE } });

  test(
    `reach everybody once and in order while Redis keeps what it has answered (seed ${SEED})`,
    async () => {
      const campaign = new Campaign(cluster());
      const { redis } = cluster();
      const pubsub = () => redisCall(redis.port, 'CLIENT', 'KILL', 'TYPE', 'pubsub');
      const truncate: Fault = async (upTo) => {
        const session = campaign.sessions[upTo(SESSIONS)] ?? '';
        const { position } = await inspect(cluster().node(0), session).catch(() => ({ position: undefined }));
        const through = Math.max(0, (position?.offset ?? 0) - upTo(100));
        await backendCall(cluster().node(0), 'DELETE', `sessions/${session}/history?through=${through}`).catch(
          () => {},
        );
      };
      await campaign.run({
        ...nodeFaults(cluster),
        pubsub,
        'pubsub often': async () => {
          for (let i = 0; i < 10; i += 1) {
            await pubsub();
            await sleep(50);
          }
        },
        'pause Redis': (upTo) => redisCall(redis.port, 'CLIENT', 'PAUSE', 200 + upTo(1_500), 'ALL'),
        partition: async (upTo) => {
          const proxy = cluster().proxy(upTo(NODES));
          proxy.pause();
          await sleep(200 + upTo(3_000));
          proxy.resume();
        },
        reset: async (upTo) => cluster().proxy(upTo(NODES)).killConnections(),
        slow: async (upTo) => {
          const proxy = cluster().proxy(upTo(NODES));
          proxy.delay(upTo(400));
          await sleep(1_000);
          proxy.delay(0);
        },
        'lost reply': (upTo) => Promise.race([cluster().proxy(upTo(NODES)).dropOnce('replies'), sleep(500)]),
        'restart Redis': async () => {
          await redis.kill();
          await redis.restart();
        },
        truncate,
      });
      campaign.check();
      campaign.checkNothingLost();
    },
    FAULTS_MS + 60_000,
  );
});

describe('messages in a Redis Cluster', () => {
  let redis: RedisCluster | undefined;
  const cluster = useCluster(async () => {
    redis = await startRedisCluster();
    return { nodes: NODES, args: ARGS, redisUrl: redis.url };
  });
  afterAll(() => redis?.stop());

  test(
    `reach everybody once and in order while their slots move (seed ${SEED})`,
    async () => {
      const masters = redis;
      if (masters === undefined) throw new Error('no cluster');
      const campaign = new Campaign(cluster());
      await campaign.run({
        ...nodeFaults(cluster),
        move: async (upTo) => {
          const tag = PARTITION_TAGS[partitionOf(campaign.sessions[upTo(SESSIONS)] ?? '')];
          const slot = await redisCall(masters.masters[0]?.port ?? 0, 'CLUSTER', 'KEYSLOT', `{${tag}}`);
          await moveSlot(masters, Number(slot));
        },
        pubsub: (upTo) => redisCall(masters.masters[upTo(3)]?.port ?? 0, 'CLIENT', 'KILL', 'TYPE', 'pubsub'),
      });
      campaign.check();
      campaign.checkNothingLost();
    },
    FAULTS_MS + 60_000,
  );
});

describe('messages through failovers that lose the last of them', () => {
  const servers: PrivateRedis[] = [];
  const proxies: TcpProxy[] = [];

  beforeAll(async () => {
    for (let i = 0; i < 2; i += 1) servers.push(await startPrivateRedis());
    for (let i = 0; i < NODES; i += 1) proxies.push(await TcpProxy.start(portOf(0)));
  });

  afterAll(async () => {
    await Promise.all(proxies.map((proxy) => proxy.stop()));
    await Promise.all(servers.map((server) => server.stop()));
  });

  const portOf = (server: number) => servers[server]?.port ?? 0;
  const cluster = useCluster(async () => ({ nodes: NODES, args: ARGS, redisUrls: proxies.map(urlOf) }));
  let master = 0;

  /** The other server becomes the master with what the present one had a while ago. */
  async function copy(upTo: (limit: number) => number): Promise<void> {
    const other = 1 - master;
    await redisCall(portOf(other), 'REPLICAOF', '127.0.0.1', portOf(master));
    await eventually('the replica', async () =>
      String(await redisCall(portOf(other), 'INFO', 'replication')).includes('master_link_status:up'),
    );
    await redisCall(portOf(other), 'REPLICAOF', 'NO', 'ONE');
    await sleep(upTo(800));
  }

  /** All nodes go to the other server; for some the old one is the master for a while longer. */
  async function change(upTo: (limit: number) => number): Promise<void> {
    master = 1 - master;
    for (const proxy of proxies) {
      proxy.retarget(portOf(master));
      proxy.killConnections();
      await sleep(upTo(300));
    }
    await sleep(upTo(1_500));
  }

  test(
    `reach everybody once and in order, or it is told (seed ${SEED})`,
    async () => {
      await redisCall(portOf(1), 'REPLICAOF', '127.0.0.1', portOf(0));
      const campaign = new Campaign(cluster());
      await campaign.run({
        ...nodeFaults(cluster),
        failover: async (upTo) => {
          await copy(upTo);
          await change(upTo);
        },
        'fail back to what it was': change,
        reset: async (upTo) => proxies[upTo(NODES)]?.killConnections(),
        'restart empty': async () => servers[master]?.restart(),
      });
      campaign.check();
      for (const sessionId of campaign.sessions) {
        const keys = (await historyOf(cluster().node(0), sessionId)).map((it) =>
          JSON.stringify(Reflect.get(it, 'data')),
        );
        expect(new Set(keys).size).toBe(keys.length);
      }
    },
    FAULTS_MS + 60_000,
  );
});

function urlOf({ port }: TcpProxy): string {
  return `redis://127.0.0.1:${port}`;
}
