import { afterAll, beforeAll, expect, test } from 'vitest';
import { RedisLock } from '../../src/store/redis/lock.js';
import { type PrivateRedis, startPrivateRedis } from '../support/redis.js';
import { type OpenStore, openStore } from './redis-store.js';

let redis: PrivateRedis;
let open: OpenStore;
let lock: RedisLock;

beforeAll(async () => {
  redis = await startPrivateRedis();
  open = await openStore(redis.url);
  lock = new RedisLock(open.connection);
});
afterAll(async () => {
  await open?.connection.close();
  await redis?.stop();
});

test('the work is told the value that stands in Redis, which is gone when the work is done', async () => {
  const { commands, keys } = open.connection;
  const stored = await lock.withLock('chat:1', 0, async (value) => [value, await commands.get(keys.lock('chat:1'))]);
  expect(stored[0]).toBe(stored[1]);
  expect(await commands.exists(keys.lock('chat:1'))).toBe(0);
});

test('losing the lock does not stop the work, nor does its end free the lock of who has it now', async () => {
  const { commands, keys } = open.connection;
  const done = await lock.withLock('chat:2', 0, async () => {
    await commands.set(keys.lock('chat:2'), 'another');
    return 'done';
  });
  expect(done).toBe('done');
  expect(await commands.get(keys.lock('chat:2'))).toBe('another');
});

test('an error of the work comes through, and frees the lock', async () => {
  const { commands, keys } = open.connection;
  const failing = lock.withLock('chat:3', 0, () => Promise.reject(new RangeError('from the work')));
  await expect(failing).rejects.toThrow(new RangeError('from the work'));
  expect(await commands.exists(keys.lock('chat:3'))).toBe(0);
});

test('without Redis the answer is that the store is unavailable, not that the session is busy', async () => {
  await redis.kill();
  await expect(lock.withLock('chat:4', 100, async () => {})).rejects.toMatchObject({ code: 'store_unavailable' });
});
