import { expect, test } from 'vitest';
import { partitionOf } from '../../src/store/redis/partitions.js';
import { claimOf, openStore } from '../store/redis-store.js';
import { startPrivateRedis } from '../support/redis.js';

test('epochs rise above all that the partition ever gave, when the clock of Redis is behind them', async () => {
  const redis = await startPrivateRedis();
  const { store, connection } = await openStore(redis.url);
  const ids = Array.from({ length: 200 }, (_, i) => `chat:${i}`).filter((id) => partitionOf(id) === 0);
  expect(ids.length).toBeGreaterThan(1);
  const aheadUs = (Date.now() + 3_600_000) * 1_000;
  await connection.commands.hset(connection.keys.meta(0), 'floor', String(aheadUs));
  const epochs = [];
  for (const id of ids) epochs.push((await store.claim(claimOf(id))).view.epoch);
  expect(epochs).toEqual(ids.map((_, i) => aheadUs + 1 + i));
  await connection.close();
  await redis.stop();
});
