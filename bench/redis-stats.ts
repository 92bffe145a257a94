import { type PrivateRedis, redisCall } from '../test/support/redis-process.js';

/** How often a Redis has run a command, in scripts too. */
export async function callsOf({ port }: PrivateRedis, command: string): Promise<number> {
  const stats = String(await redisCall(port, 'INFO', 'commandstats'));
  return Number(new RegExp(`^cmdstat_${command}:calls=(\\d+)`, 'm').exec(stats)?.[1] ?? 0);
}
