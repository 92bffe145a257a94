import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import type { PresenceEntry } from '../../src/session/presence-ports.js';
import { partitionOf } from '../../src/store/redis/partitions.js';
import { RedisPresenceStore } from '../../src/store/redis/presence-store.js';
import { type PrivateRedis, startPrivateRedis } from '../support/redis.js';
import { TcpProxy } from '../support/tcp-proxy.js';
import { type OpenStore, openStore } from './redis-store.js';

const SID = 'room:1';

let redis: PrivateRedis;
let proxy: TcpProxy;
let open: OpenStore;

beforeAll(async () => {
  redis = await startPrivateRedis();
  proxy = await TcpProxy.start(redis.port);
});
beforeEach(async () => {
  open = await openStore(`redis://127.0.0.1:${proxy.port}`);
});
afterEach(() => open.connection.close());
afterAll(async () => {
  await proxy.stop();
  await redis.stop();
});

const presenceFor = (presenceTtlMs: number) => new RedisPresenceStore(open.connection, { presenceTtlMs });
const entry = (connectionId: string, principal = 'alice'): PresenceEntry => ({
  sessionId: SID,
  connectionId,
  principal,
});
const keys = () => open.connection.commands.keys(`${open.connection.keys.prefix}:*`);
const index = () => open.connection.keys.presence(partitionOf(SID));

test('a deployment that is gone leaves nothing behind', async () => {
  const store = presenceFor(100);
  await store.join(entry('c_1'));
  await store.join(entry('c_2', 'bob'));
  await store.leave([entry('c_1')], 150);
  expect(await keys()).toHaveLength(2);
  for (const key of await keys()) expect(await open.connection.commands.pttl(key)).toBeGreaterThan(150);
  await sleep(300);
  expect(await keys()).toEqual([]);
});

test('nobody is indexed who is not there', async () => {
  const store = presenceFor(60_000);
  await store.leave([entry('c_1')], 60_000);
  await store.join(entry('c_2'));
  await store.leave([entry('c_2')], 0);
  expect(await open.connection.commands.zcard(index())).toBe(0);
});

test('a rev rises also when Redis has lost the last one', async () => {
  const store = presenceFor(60_000);
  const before = await store.join(entry('c_1'));
  await open.connection.commands.del(open.connection.keys.members(SID));
  const after = await store.join(entry('c_1'));
  expect(after).toMatchObject({ count: 1, members: [{ principal: 'alice', connections: 1 }] });
  expect(after.rev).toBeGreaterThan(before.rev);
});

test('a call whose reply was lost has happened once', async () => {
  const store = presenceFor(60_000);
  // Each script once: the loss of a NOSCRIPT would prove nothing.
  await store.join(entry('c_1'));
  await store.leave([entry('c_1')], 0);
  open.commands.length = 0;
  const losing = async <T>(work: () => Promise<T>) => (await Promise.all([work(), proxy.dropOnce('replies')]))[0];
  await losing(() => store.join(entry('c_2')));
  expect(await store.read(SID)).toMatchObject({ count: 1, members: [{ principal: 'alice', connections: 1 }] });
  await losing(() => store.leave([entry('c_2')], 0));
  expect(await store.read(SID)).toMatchObject({ count: 0, members: [] });
  expect(open.commands).toEqual(expect.arrayContaining(['presence-join unknown', 'presence-leave unknown']));
});

test('coming and going costs the same among ten thousand', async () => {
  const store = presenceFor(60_000);
  const { commands } = open.connection;
  const microseconds = async () => {
    await commands.call('CONFIG', 'RESETSTAT');
    for (let i = 0; i < 200; i += 1) {
      await store.renew([entry(`c_new${i}`, `new${i}`)]);
      await store.leave([entry(`c_new${i}`, `new${i}`)], 0);
    }
    const stats = await commands.info('commandstats');
    return Number(/cmdstat_evalsha:.*usec_per_call=([\d.]+)/.exec(stats)?.[1]);
  };
  await store.renew([entry('c_0', 'p0')]);
  const among1 = await microseconds();
  const crowd = Array.from({ length: 10_000 }, (_, i) => entry(`c_${i}`, `p${i}`));
  await store.renew(crowd);
  const among10000 = await microseconds();
  expect(among10000).toBeLessThan(among1 * 10);
  const { count, members } = await store.read(SID);
  expect([count, members.length]).toEqual([10_000, 1_000]);
});
