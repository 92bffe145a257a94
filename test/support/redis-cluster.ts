import { freePorts } from './ports.js';
import { eventually, type PrivateRedis, redisCall, startPrivateRedis } from './redis-process.js';
import { isReplicating } from './redis-sentinel.js';

const SLOTS = 16_384;
const ATTEMPTS = 3;
const MAX_BATCHES = 100;

export interface RedisCluster {
  /** `redis+cluster://` with every master. */
  readonly url: string;
  readonly masters: readonly PrivateRedis[];
  /** One for each master, in their order, or none. */
  readonly replicas: readonly PrivateRedis[];
  stop(): Promise<void>;
}

export interface RedisClusterOptions {
  /** Default 3. They have the slots in equal ranges. */
  masters?: number;
  /** Gives each master a replica. */
  replicated?: boolean;
  /** Further arguments of every node. */
  args?: readonly string[];
}

/** A master that is gone is noticed after two seconds. */
export async function startRedisCluster(options: RedisClusterOptions = {}): Promise<RedisCluster> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await form(options);
    } catch (error) {
      // Another process can have taken a bus port meanwhile.
      if (attempt === ATTEMPTS) throw error;
    }
  }
}

/** Moves a slot with its keys to the next master, as a resharding tool does. @throws Error when they do not come to an end */
export async function moveSlot({ masters }: RedisCluster, slot: number): Promise<void> {
  const [any] = masters;
  const shards = (await redisCall(any?.port ?? 0, 'CLUSTER', 'SLOTS')) as [number, number, [string, number, string]][];
  const [, from = 0, fromId = ''] = shards.find(([first, last]) => first <= slot && slot <= last)?.[2] ?? [];
  const to = masters[(masters.findIndex(({ port }) => port === from) + 1) % masters.length]?.port ?? 0;
  const toId = String(await redisCall(to, 'CLUSTER', 'MYID'));
  await redisCall(to, 'CLUSTER', 'SETSLOT', slot, 'IMPORTING', fromId);
  await redisCall(from, 'CLUSTER', 'SETSLOT', slot, 'MIGRATING', toId);
  for (let batches = 1; ; batches += 1) {
    const keys = (await redisCall(from, 'CLUSTER', 'GETKEYSINSLOT', slot, 100)) as string[];
    if (keys.length === 0) break;
    if (batches > MAX_BATCHES) throw new Error(`slot ${slot} still has ${keys.join(' ')}`);
    await redisCall(from, 'MIGRATE', '127.0.0.1', to, '', 0, 1_000, 'KEYS', ...keys);
  }
  for (const { port } of masters) await redisCall(port, 'CLUSTER', 'SETSLOT', slot, 'NODE', toId);
}

async function form({ masters: count = 3, replicated = false, args = [] }: RedisClusterOptions): Promise<RedisCluster> {
  const busPorts = await freePorts(replicated ? 2 * count : count);
  const nodes: PrivateRedis[] = [];
  const stop = async () => {
    await Promise.all(nodes.map((node) => node.stop()));
  };
  try {
    for (const busPort of busPorts) {
      const place = ['--cluster-enabled', 'yes', '--cluster-port', `${busPort}`, '--cluster-node-timeout', '2000'];
      nodes.push(await startPrivateRedis({ args: [...place, '--repl-diskless-sync-delay', '0', ...args] }));
    }
    const masters = nodes.slice(0, count);
    const replicas = nodes.slice(count);
    for (const [i, { port }] of masters.entries()) {
      const [from, to] = [Math.ceil((i * SLOTS) / count), Math.ceil(((i + 1) * SLOTS) / count) - 1];
      await redisCall(port, 'CLUSTER', 'ADDSLOTSRANGE', from, to);
      await redisCall(port, 'CLUSTER', 'SET-CONFIG-EPOCH', i + 1);
    }
    const first = nodes[0]?.port ?? 0;
    for (const [i, { port }] of nodes.entries()) {
      if (i > 0) await redisCall(first, 'CLUSTER', 'MEET', '127.0.0.1', port, busPorts[i] ?? 0);
    }
    const isReady = async ({ port }: PrivateRedis) => {
      const info = String(await redisCall(port, 'CLUSTER', 'INFO'));
      const isWhole = info.includes(`cluster_known_nodes:${nodes.length}\r\n`);
      return isWhole && info.includes('cluster_state:ok') && info.includes(`cluster_size:${count}\r\n`);
    };
    for (const node of nodes) await eventually('the cluster', () => isReady(node), 20_000);
    for (const [i, { port }] of replicas.entries()) {
      await redisCall(port, 'CLUSTER', 'REPLICATE', String(await redisCall(masters[i]?.port ?? 0, 'CLUSTER', 'MYID')));
    }
    for (const { port } of replicas) await eventually('the replicas', () => isReplicating(port), 20_000);
    const url = `redis+cluster://${nodes.map(({ port }) => `127.0.0.1:${port}`).join(',')}`;
    return { url, masters, replicas, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
