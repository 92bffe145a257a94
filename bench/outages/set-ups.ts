/** The Redis deployments that are broken, each with its way to break. */
import { setTimeout as sleep } from 'node:timers/promises';
import { PARTITION_TAGS } from '../../src/store/redis/partitions.js';
import { moveSlot, startRedisCluster } from '../../test/support/redis-cluster.js';
import { eventually, type PrivateRedis, redisCall, startPrivateRedis } from '../../test/support/redis-process.js';
import { startSentinel } from '../../test/support/redis-sentinel.js';

const AOF = ['--appendonly', 'yes', '--appendfsync', 'everysec'];
const DOWN_MS = 2_000;
const PAUSE_MS = 5_000;
const PATIENCE_MS = 30_000;
const MOVED_SLOTS = 8;

export interface SetUp {
  readonly url: string;
  /** Breaks it. Resolves when Redis itself takes writes again, or when all is done that was planned. */
  fault(): Promise<void>;
  stop(): Promise<void>;
}

/** One Redis with an append-only file is killed and comes back after two seconds. */
export async function restart(): Promise<SetUp> {
  const redis = await startPrivateRedis({ args: AOF });
  const fault = async () => {
    await redis.kill();
    await sleep(DOWN_MS);
    await redis.restart();
  };
  return { url: redis.url, fault, stop: () => redis.stop() };
}

/** A master, two replicas, three Sentinels. The master is killed. */
export async function sentinelKill(): Promise<SetUp> {
  const { url, master, replicas, stop } = await startSentinel({ replicas: 2, args: AOF });
  const fault = async () => {
    await master.kill();
    await anyTakesWrites(replicas, 'probe');
  };
  return { url, fault, stop };
}

/** The same, told to fail over while its master takes no writes, as docs/redis.md describes. */
export async function sentinelPlanned(): Promise<SetUp> {
  const { url, name, master, replicas, sentinels, stop } = await startSentinel({ replicas: 2, args: AOF });
  const fault = async () => {
    await redisCall(master.port, 'CLIENT', 'PAUSE', PAUSE_MS, 'WRITE');
    await redisCall(sentinels[0]?.port ?? 0, 'SENTINEL', 'FAILOVER', name);
    await anyTakesWrites(replicas, 'probe');
  };
  return { url, fault, stop };
}

/** Three masters with a replica each. Slots with sessions move to the next master, one after another. */
export async function clusterMigration(): Promise<SetUp> {
  const cluster = await startRedisCluster({ replicated: true, args: AOF });
  const fault = async () => {
    for (const tag of PARTITION_TAGS.slice(0, MOVED_SLOTS)) {
      await moveSlot(cluster, Number(await redisCall(cluster.masters[0]?.port ?? 0, 'CLUSTER', 'KEYSLOT', `{${tag}}`)));
    }
  };
  return { url: cluster.url, fault, stop: cluster.stop };
}

/** The same. A master is killed. */
export async function clusterMasterLoss(): Promise<SetUp> {
  const { url, masters, replicas, stop } = await startRedisCluster({ replicated: true, args: AOF });
  const fault = async () => {
    await masters[0]?.kill();
    await anyTakesWrites(replicas.slice(0, 1), `probe{${PARTITION_TAGS[0]}}`);
  };
  return { url, fault, stop };
}

async function anyTakesWrites(servers: readonly PrivateRedis[], key: string): Promise<void> {
  const takesWrites = ({ port }: PrivateRedis) => redisCall(port, 'SET', key, '', 'PX', 1_000);
  await eventually('a new master', async () => (await Promise.any(servers.map(takesWrites))) === 'OK', PATIENCE_MS);
}
