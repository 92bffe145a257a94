import { Redis } from 'ioredis';
import { createSingle, nodeOptions, ONCE } from './client.js';
import { parseRedisUrl, type RedisTarget } from './url.js';

const KEPT_MS = 1_000;

/**
 * Whether the store takes what is written over connections that are made for the question. Ends within a few seconds.
 * @param key may be written to
 */
export async function redisAnswers(url: string, key: string): Promise<boolean> {
  const target = parseRedisUrl(url);
  const clients = freshClients(target);
  try {
    await Promise.any(clients.map((client) => ask(client, target.kind, key)));
    return true;
  } catch {
    return false;
  } finally {
    for (const client of clients) client.disconnect();
  }
}

function freshClients(target: RedisTarget): Redis[] {
  if (target.kind !== 'cluster') return [createSingle(target, ONCE)];
  return target.nodes.map((node) => new Redis({ ...nodeOptions(target), ...ONCE, ...node }));
}

async function ask(client: Redis, kind: RedisTarget['kind'], key: string): Promise<void> {
  // Told by what `connect` throws.
  client.on('error', () => {});
  await client.connect();
  // A replica answers too, and a server whose disk is full, or that denies the user scripts.
  if (kind !== 'cluster') await client.eval("return redis.call('SET', KEYS[1], '', 'PX', ARGV[1])", 1, key, KEPT_MS);
  // The slot of the key may be another server's.
  else if (!(await client.cluster('INFO')).includes('cluster_state:ok')) throw new Error('the Cluster is down');
}
