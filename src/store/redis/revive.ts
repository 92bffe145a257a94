import type { RedisClient } from './client.js';

/**
 * Connects a client again that ioredis has given up. It does so for good, whatever the retry strategy says, when the news
 * of a failover arrives while a Sentinel client looks for the master.
 * @param delayMs before the n-th attempt in a row, n from 0
 * @returns what ends that
 */
export function revive(client: RedisClient, delayMs: (attempt: number) => number): () => void {
  let attempt = 0;
  let timer: NodeJS.Timeout | undefined;
  const onReady = () => {
    attempt = 0;
  };
  const onEnd = () => {
    timer = setTimeout(() => {
      // Its failures end in `end` again, or in a reconnection of its own.
      client.connect().catch(() => {});
    }, delayMs(attempt++));
  };
  client.on('ready', onReady);
  client.on('end', onEnd);
  return () => {
    clearTimeout(timer);
    client.off('ready', onReady);
    client.off('end', onEnd);
  };
}
