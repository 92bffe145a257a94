import { randomUUID } from 'node:crypto';
import { inject } from 'vitest';

export { type PrivateRedis, startPrivateRedis } from './redis-process.js';

declare module 'vitest' {
  export interface ProvidedContext {
    redis: { url: string } | { missing: string };
  }
}

/**
 * The Redis of the whole run. It may be a person's own: a suite writes only under its own `prefix` and never flushes.
 * @throws Error that says how to get one
 */
export function testRedis(): { url: string; prefix: string } {
  const redis = inject('redis');
  if ('missing' in redis) throw new Error(redis.missing);
  return { url: redis.url, prefix: `hft-${randomUUID().slice(0, 8)}` };
}
