import { RedisNodeRegistry } from '../../src/store/redis/node-registry.js';
import type { NodeRegistryHarness } from './node-registry.contract.js';
import { connectTwo } from './redis-harness.js';

/** Over the Redis of `url`, with a key prefix of its own. */
export async function redisNodes(url: string) {
  const { first, second, close } = await connectTwo(url);
  return {
    connection: first,
    nodes: new RedisNodeRegistry(first),
    other: new RedisNodeRegistry(second),
    nowMs: () => Date.now(),
    // The server's clock cannot be moved, so the time of the beat is.
    async age({ nodeId, bootId }, ms) {
      await first.commands.zincrby(first.keys.nodes, -ms, `${nodeId}|${bootId}`);
    },
    close,
  } satisfies NodeRegistryHarness & { connection: unknown };
}
