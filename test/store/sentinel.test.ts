import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { connectRedis } from '../../src/store/redis/client.js';
import { checkRequirements } from '../../src/store/redis/requirements.js';
import { redisCall } from '../support/redis-process.js';
import { type SentinelRedis, startSentinel } from '../support/redis-sentinel.js';
import { quietStore, silent } from '../support/silent.js';
import { claimOf, type OpenStore, openStore } from './redis-store.js';

let sentinel: SentinelRedis;
let open: OpenStore;

beforeAll(async () => {
  sentinel = await startSentinel();
  open = await openStore(sentinel.url);
});
afterAll(async () => {
  await open?.connection.close();
  await sentinel?.stop();
});

test('comes back when the news of a failover cuts short an attempt to connect', async () => {
  const [client] = open.connection.masters();
  if (client === undefined) throw new Error('there is no client');
  // What ioredis' failover detector does when it hears of one.
  const { connector } = client as unknown as { connector: { disconnect(): void } };
  client.once('connecting', () => connector.disconnect());
  const ended = new Promise((resolve) => client.once('end', () => resolve('ended')));
  client.disconnect(true);
  expect(await ended).toBe('ended');
  await expect.poll(() => client.ping().catch(String), { timeout: 5_000 }).toBe('PONG');
});

test('a Sentinel that goes away is a line of the log, and nothing that ioredis prints', async () => {
  const print = vi.spyOn(console, 'error').mockImplementation(() => {});
  const warn = vi.fn();
  const connection = await connectRedis(sentinel.url, {
    prefix: 'hft',
    log: { ...silent, warn },
    telemetry: quietStore,
  });
  const last = sentinel.sentinels.at(-1);
  try {
    const known = String(await redisCall(last?.port ?? 0, 'CLIENT', 'LIST', 'TYPE', 'pubsub'));
    expect(known).toContain('sub=1');
    await last?.kill();
    const error = expect.stringContaining(`ECONNREFUSED 127.0.0.1:${last?.port}`);
    await vi.waitFor(
      () => expect(warn).toHaveBeenCalledWith({ error, suppressed: 0 }, 'Redis connection error'),
      5_000,
    );
    expect(print).not.toHaveBeenCalled();
  } finally {
    print.mockRestore();
    await connection.close();
    await last?.restart();
  }
});

test('follows the master through a failover, where owners keep their sessions and epochs go on rising', async () => {
  await checkRequirements(open.connection);
  const request = claimOf('chat:1');
  const { view } = await open.store.claim(request);
  const lease = { sessionId: 'chat:1', connectionId: request.connectionId, epoch: view.epoch };
  // The claim is on the replica once this returns.
  expect(await open.connection.masters()[0]?.wait(1, 5000)).toBe(1);
  await sentinel.master.kill();
  const renewed = () => open.store.renew([lease], 60_000).catch(() => ['unavailable']);
  await expect.poll(renewed, { timeout: 15_000, interval: 100 }).toEqual(['renewed']);
  expect(open.connection.masters()[0]?.stream.remotePort).toBe(sentinel.replica.port);
  expect(await open.store.read('chat:1')).toMatchObject({ state: 'owned', epoch: view.epoch });
  const later = await open.store.claim(claimOf('chat:2'));
  expect(later.view.epoch).toBeGreaterThan(view.epoch);
});
