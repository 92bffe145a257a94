import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { partitionOf } from '../../src/store/redis/partitions.js';
import { type PrivateRedis, startPrivateRedis } from '../support/redis.js';
import { TcpProxy } from '../support/tcp-proxy.js';
import { claimOf, type OpenStore, openStore } from './redis-store.js';

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

/** What Redis executed while `work` ran, the scripts' own reading of the lock (get) included. */
async function callsDuring(work: () => Promise<unknown>): Promise<Record<string, number>> {
  const [server] = open.connection.masters();
  if (server === undefined) throw new Error('no master');
  await server.config('RESETSTAT');
  await work();
  const stats = await server.info('commandstats');
  const calls = [...stats.matchAll(/cmdstat_(evalsha|eval|multi|get|set):calls=(\d+)/g)];
  return Object.fromEntries(calls.map(([, name, count]) => [name, Number(count)]));
}

test('a claim and a reclaim cost one round trip each', async () => {
  const warm = await open.store.claim(claimOf('warm'));
  const presentedTokenHash = warm.tokenHash;
  const { mode: _, ...request } = claimOf('warm');
  await open.store.reclaim({ ...request, presentedTokenHash, claimIfExpired: false });
  const claims = await callsDuring(() => open.store.claim(claimOf('chat:1')));
  expect(claims).toEqual({ evalsha: 1, get: 1 });
  const next = { ...request, requestId: randomUUID(), presentedTokenHash: request.tokenHash, claimIfExpired: false };
  let result: unknown;
  const reclaims = await callsDuring(async () => {
    ({ result } = await open.store.reclaim(next));
  });
  expect(result).toBe('owned');
  expect(reclaims).toEqual({ evalsha: 1, get: 1 });
});

test('renewing many leases costs one call a partition, and one more for each 200', async () => {
  const requests = Array.from({ length: 1000 }, (_, i) => claimOf(`many:${i}`));
  const outcomes = await Promise.all(requests.map((request) => open.store.claim(request)));
  const leases = requests.map(({ sessionId, connectionId }, i) => ({
    sessionId,
    connectionId,
    epoch: outcomes[i]?.view.epoch ?? 0,
  }));
  await open.store.renew(leases, 60_000);
  let results: string[] = [];
  const calls = await callsDuring(async () => {
    results = await open.store.renew(leases, 120_000);
  });
  expect(new Set(results)).toEqual(new Set(['renewed']));
  expect(calls).toEqual({ evalsha: 64 });
  const again = Array.from({ length: 500 }, () => leases[0] as (typeof leases)[0]);
  expect(await callsDuring(() => open.store.renew(again, 60_000))).toEqual({ evalsha: 3 });
});

test('goes on when Redis forgets the scripts', async () => {
  await open.store.claim(claimOf('chat:2'));
  await open.connection.masters()[0]?.script('FLUSH');
  const outcomes = await Promise.all(Array.from({ length: 50 }, (_, i) => open.store.claim(claimOf(`flushed:${i}`))));
  expect(outcomes.map(({ result }) => result)).toEqual(outcomes.map(() => 'owned'));
});

/**
 * Runs `work` such that its first reply is lost together with the connection. Each script is used once before that: a
 * lost NOSCRIPT would prove nothing.
 */
async function losingReply<T>(work: () => Promise<T>): Promise<T> {
  const dropped = proxy.dropOnce('replies');
  const [result] = await Promise.all([work(), dropped]);
  return result;
}

test('a claim and a reclaim whose replies are lost are made once: the resent request gets the same answer', async () => {
  for (const lose of [(work: () => Promise<unknown>) => work(), losingReply]) {
    const { mode, ...request } = claimOf(`chat:3:${randomUUID()}`);
    const claimed = await lose(() => open.store.claim({ ...request, mode }));
    expect(claimed).toMatchObject({ result: 'owned', replayed: false, tokenHash: request.tokenHash });
    expect(claimed).toMatchObject({ view: { rev: 1, connectionId: request.connectionId } });
    const { mode: _, ...again } = claimOf(request.sessionId);
    const token = { presentedTokenHash: request.tokenHash, claimIfExpired: false };
    const reclaimed = await lose(() => open.store.reclaim({ ...again, ...token }));
    expect(reclaimed).toMatchObject({ result: 'owned', replayed: false, tokenHash: again.tokenHash });
    expect(reclaimed).toMatchObject({ view: { rev: 2, connectionId: again.connectionId } });
  }
  expect(open.commands.filter((command) => command.endsWith('unknown'))).toEqual(['claim unknown', 'reclaim unknown']);
});

test('a transfer and a release whose replies are lost answer as if they were not', async () => {
  for (const lose of [(work: () => Promise<unknown>) => work(), losingReply]) {
    const { sessionId, ...owner } = claimOf(`chat:4:${randomUUID()}`);
    const { view } = await open.store.claim({ sessionId, ...owner });
    const target = { ...claimOf(sessionId), principal: 'principal-2' };
    const change = { requestId: randomUUID(), lockValue: '', reason: 'transferred', target } as const;
    const given = await lose(() => open.store.transfer({ sessionId, expectedEpoch: view.epoch, ...change }));
    expect(given).toMatchObject({ result: 'done', view: { connectionId: target.connectionId, rev: 2 } });
    const { epoch } = await open.store.read(sessionId);
    const release = { requestId: randomUUID(), reason: 'released', policy: 'next_subscriber' } as const;
    const lease = { sessionId, connectionId: target.connectionId, epoch };
    expect(await lose(() => open.store.release({ ...lease, ...release, staysWatching: false }))).toBe(true);
    expect(await open.store.read(sessionId)).toMatchObject({ state: 'free', rev: 3 });
  }
  expect(open.commands.filter((command) => command.endsWith('unknown'))).toEqual([
    'transfer unknown',
    'release unknown',
  ]);
});

test('fails within two seconds and recovers by itself while Redis is gone, and starts empty at a higher epoch', async () => {
  const before = await open.store.claim(claimOf('chat:5'));
  await redis.kill();
  const startMs = performance.now();
  await expect(open.store.claim(claimOf('chat:5'))).rejects.toMatchObject({ code: 'store_unavailable' });
  expect(performance.now() - startMs).toBeLessThan(2000);
  await redis.restart();
  await expect
    .poll(
      () =>
        open.store.read('chat:5').then(
          ({ epoch }) => epoch,
          () => -1,
        ),
      { timeout: 5000 },
    )
    .toBe(0);
  const after = await open.store.claim(claimOf('chat:5'));
  expect(after.view.epoch).toBeGreaterThan(before.view.epoch);
});

test('a connection that went silent is replaced within seconds', async () => {
  await open.store.claim(claimOf('chat:6'));
  proxy.pause();
  await expect(open.store.claim(claimOf('chat:7'))).rejects.toMatchObject({ code: 'store_unavailable' });
  await sleep(1000);
  proxy.resume();
  await expect.poll(() => open.store.claim(claimOf('chat:8')).then(({ result }) => result, String)).toBe('owned');
});

test('principals of any text come back as they were', async () => {
  const principal = 'tab\t"quote" \\ / \u0000 ümläut 🦔';
  const { view } = await open.store.claim(claimOf('chat:9', { principal }));
  expect(view.principal).toBe(principal);
  expect((await open.store.peek(['chat:9', 'nobody']))[0]?.principal).toBe(principal);
});

test('a deadline that lost writes left behind releases nobody', async () => {
  const { view } = await open.store.claim(claimOf('chat:10'));
  const [server] = open.connection.masters();
  const partition = partitionOf('chat:10');
  const deadlines = open.connection.keys.deadlines(partition);
  await open.store.sweep(partition, 100);
  await server?.zadd(deadlines, '1', 'ghost', '1', 'chat:10');
  expect(await open.store.sweep(partition, 100)).toEqual({ released: [], more: false, guarded: false });
  expect(await server?.zscore(deadlines, 'chat:10')).toBe(String(view.deadlineMs));
  expect(await server?.zscore(deadlines, 'ghost')).toBeNull();
});

test('a part of the store that is away does not keep leases elsewhere from being renewed', async () => {
  const ids = Array.from({ length: 50 }, (_, i) => `part:${i}`);
  const leases = [];
  for (const sessionId of ids) {
    const { view } = await open.store.claim(claimOf(sessionId));
    leases.push({ sessionId, connectionId: view.connectionId, epoch: view.epoch });
  }
  const away = partitionOf('part:0');
  const [server] = open.connection.masters();
  // Every script of this partition fails from here on.
  await server?.set(open.connection.keys.deadlines(away), 'not a sorted set');
  const expected = ids.map((id) => (partitionOf(id) === away ? 'unavailable' : 'renewed'));
  expect(new Set(expected)).toEqual(new Set(['unavailable', 'renewed']));
  expect(await open.store.renew(leases, 60_000)).toEqual(expected);
  await expect(open.store.renew(leases.slice(0, 1), 60_000)).rejects.toMatchObject({ code: 'store_unavailable' });
  await expect(open.store.hold(leases, 60_000)).rejects.toMatchObject({ code: 'store_unavailable' });
});
