import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { eventually, type PrivateRedis, redisCall, startPrivateRedis } from './redis-process.js';

const NAME = 'holdfast';

export interface SentinelRedis {
  /** `redis+sentinel://` with every sentinel and the master's name. */
  readonly url: string;
  readonly name: string;
  readonly master: PrivateRedis;
  /** The first of `replicas`. */
  readonly replica: PrivateRedis;
  readonly replicas: readonly PrivateRedis[];
  readonly sentinels: readonly PrivateRedis[];
  /** The port of the node that the first sentinel takes for the master now. */
  masterPort(): Promise<number>;
  stop(): Promise<void>;
}

export interface SentinelOptions {
  /** Default 1. */
  replicas?: number;
  /** Further arguments of master and replicas. */
  args?: readonly string[];
}

/** A master, its replicas and three sentinels that agree by two; a dead master is noticed after a second. */
export async function startSentinel({ replicas: count = 1, args = [] }: SentinelOptions = {}): Promise<SentinelRedis> {
  const started: PrivateRedis[] = [];
  const start = async (options: Parameters<typeof startPrivateRedis>[0]) => {
    const redis = await startPrivateRedis(options);
    started.push(redis);
    return redis;
  };
  const stop = async () => {
    await Promise.all(started.reverse().map((redis) => redis.stop()));
  };
  try {
    const all = ['--repl-diskless-sync-delay', '0', ...args];
    const master = await start({ args: all });
    const replicas: PrivateRedis[] = [];
    for (let i = 0; i < count; i += 1) {
      replicas.push(await start({ args: ['--replicaof', `127.0.0.1 ${master.port}`, ...all] }));
    }
    const [replica] = replicas;
    if (replica === undefined) throw new Error('a failover needs a replica');
    for (const { port } of replicas) await eventually('the replica', () => isReplicating(port));
    const sentinelConfig = async (port: number, folder: string) => {
      const file = join(folder, 'sentinel.conf');
      const lines = [
        `port ${port}`,
        'bind 127.0.0.1',
        `dir ${folder}`,
        `sentinel monitor ${NAME} 127.0.0.1 ${master.port} 2`,
        `sentinel down-after-milliseconds ${NAME} 1000`,
        `sentinel failover-timeout ${NAME} 3000`,
      ];
      await writeFile(file, `${lines.join('\n')}\n`);
      return file;
    };
    const sentinels: PrivateRedis[] = [];
    for (let i = 0; i < 3; i += 1) sentinels.push(await start({ sentinelConfig }));
    for (const sentinel of sentinels) {
      await eventually('the sentinels', () => knowsAll(sentinel, count), 20_000);
    }
    const masterPort = async () => {
      const address = await redisCall(sentinels[0]?.port ?? 0, 'SENTINEL', 'GET-MASTER-ADDR-BY-NAME', NAME);
      return Number((address as string[])[1]);
    };
    const url = `redis+sentinel://${sentinels.map(({ port }) => `127.0.0.1:${port}`).join(',')}/${NAME}`;
    return { url, name: NAME, master, replica, replicas, sentinels, masterPort, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** True once a replica follows its master. */
export async function isReplicating(port: number): Promise<boolean> {
  return String(await redisCall(port, 'INFO', 'replication')).includes('master_link_status:up');
}

async function knowsAll({ port }: PrivateRedis, count: number): Promise<boolean> {
  const replicas = (await redisCall(port, 'SENTINEL', 'REPLICAS', NAME)) as unknown[];
  const sentinels = (await redisCall(port, 'SENTINEL', 'SENTINELS', NAME)) as unknown[];
  return replicas.length === count && sentinels.length === 2;
}
