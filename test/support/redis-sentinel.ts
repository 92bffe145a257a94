import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { eventually, type PrivateRedis, redisCall, startPrivateRedis } from './redis-process.js';

const NAME = 'holdfast';

export interface SentinelRedis {
  /** `redis+sentinel://` with every sentinel and the master's name. */
  readonly url: string;
  readonly name: string;
  readonly master: PrivateRedis;
  readonly replica: PrivateRedis;
  readonly sentinels: readonly PrivateRedis[];
  /** The port of the node that the first sentinel takes for the master now. */
  masterPort(): Promise<number>;
  stop(): Promise<void>;
}

/** A master, its replica and three sentinels that agree by two; a dead master is noticed after a second. */
export async function startSentinel(): Promise<SentinelRedis> {
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
    const master = await start({ args: ['--repl-diskless-sync-delay', '0'] });
    const replica = await start({
      args: ['--replicaof', `127.0.0.1 ${master.port}`, '--repl-diskless-sync-delay', '0'],
    });
    await eventually('the replica', async () =>
      String(await redisCall(replica.port, 'INFO', 'replication')).includes('master_link_status:up'),
    );
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
      await eventually('the sentinels', () => knowsAll(sentinel), 20_000);
    }
    const masterPort = async () => {
      const address = await redisCall(sentinels[0]?.port ?? 0, 'SENTINEL', 'GET-MASTER-ADDR-BY-NAME', NAME);
      return Number((address as string[])[1]);
    };
    const url = `redis+sentinel://${sentinels.map(({ port }) => `127.0.0.1:${port}`).join(',')}/${NAME}`;
    return { url, name: NAME, master, replica, sentinels, masterPort, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function knowsAll({ port }: PrivateRedis): Promise<boolean> {
  const replicas = (await redisCall(port, 'SENTINEL', 'REPLICAS', NAME)) as unknown[];
  const sentinels = (await redisCall(port, 'SENTINEL', 'SENTINELS', NAME)) as unknown[];
  return replicas.length === 1 && sentinels.length === 2;
}
