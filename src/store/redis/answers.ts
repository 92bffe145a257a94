import { Redis } from 'ioredis';
import { createSingle, nodeOptions, ONCE } from './client.js';
import { parseRedisUrl, type RedisTarget } from './url.js';

const KEPT_MS = 1_000;

/**
 * Whether the store takes what is written over connections that are made for the question. Ends within a few seconds.
 * @param key may be written to
 * @param masters of a Cluster, as far as they are known: without one of them it works for nobody
 */
export async function redisAnswers(url: string, key: string, masters: readonly Redis[] = []): Promise<boolean> {
  const target = parseRedisUrl(url);
  const clients = freshClients(target, masters);
  const asked = clients.map((client) => ask(client, key));
  try {
    await (masters.length > 0 ? Promise.all(asked) : Promise.any(asked));
    return true;
  } catch {
    return false;
  } finally {
    for (const client of clients) client.disconnect();
  }
}

function freshClients(target: RedisTarget, masters: readonly Redis[]): Redis[] {
  if (target.kind !== 'cluster') return [createSingle(target, ONCE)];
  const known = masters.map(({ options: { host = 'localhost', port = 6379 } }) => ({ host, port }));
  const nodes = known.length > 0 ? known : target.nodes;
  return nodes.map(({ host, port }) => new Redis({ ...nodeOptions(target), ...ONCE, host, port }));
}

async function ask(client: Redis, key: string): Promise<void> {
  // Told by what `connect` throws.
  client.on('error', () => {});
  await client.connect();
  try {
    // A replica answers too, and a server whose disk is full, or that denies the user scripts.
    await client.eval("return redis.call('SET', KEYS[1], '', 'PX', ARGV[1])", 1, key, KEPT_MS);
  } catch (error) {
    // The slot of the key is another server's.
    if (!(error as Error).message.startsWith('MOVED')) throw error;
  }
}
