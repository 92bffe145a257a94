import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
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

/** What Redis was sent by clients while `work` ran, by command. */
async function callsDuring(work: () => Promise<unknown>): Promise<Record<string, number>> {
  const [server] = open.connection.masters();
  if (server === undefined) throw new Error('no master');
  await server.config('RESETSTAT');
  await work();
  const stats = await server.info('commandstats');
  const calls = [...stats.matchAll(/cmdstat_(evalsha|eval|zrem|exists|multi):calls=(\d+)/g)];
  return Object.fromEntries(calls.map(([, name, count]) => [name, Number(count)]));
}

test('a claim and a reclaim cost one round trip each', async () => {
  const warm = await open.store.claim(claimOf('warm'));
  const presentedTokenHash = warm.tokenHash;
  const { mode: _, ...request } = claimOf('warm');
  await open.store.reclaim({ ...request, presentedTokenHash, claimIfExpired: false });
  const claims = await callsDuring(() => open.store.claim(claimOf('chat:1')));
  expect(claims).toEqual({ evalsha: 1, zrem: 1 });
  const next = { ...request, requestId: randomUUID(), presentedTokenHash: request.tokenHash, claimIfExpired: false };
  let result: unknown;
  const reclaims = await callsDuring(async () => {
    ({ result } = await open.store.reclaim(next));
  });
  expect(result).toBe('owned');
  expect(reclaims).toEqual({ evalsha: 1, zrem: 1 });
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

test('a claim whose reply is lost is made once: the resent request gets the same answer', async () => {
  await open.store.claim(claimOf('warm:2'));
  const request = claimOf('chat:3');
  proxy.loseReplies();
  const claiming = open.store.claim(request);
  while (proxy.lostBytes === 0) await sleep(5);
  proxy.cutAndHeal();
  const outcome = await claiming;
  expect(outcome).toMatchObject({ result: 'owned', replayed: false, tokenHash: request.tokenHash });
  expect(outcome.view).toMatchObject({ state: 'owned', rev: 1, connectionId: request.connectionId });
  expect(open.commands).toContain('claim unknown');
  expect(open.commands.at(-1)).toBe('claim ok');
});

test('a release and a transfer whose replies are lost answer as if they were not', async () => {
  const request = claimOf('chat:4');
  const { view } = await open.store.claim(request);
  const lease = { sessionId: request.sessionId, connectionId: request.connectionId, epoch: view.epoch };
  const losing = async <T>(work: () => Promise<T>): Promise<T> => {
    proxy.loseReplies();
    const working = work();
    while (proxy.lostBytes === 0) await sleep(5);
    proxy.cutAndHeal();
    return working;
  };
  const target = { ...claimOf('chat:4'), principal: 'principal-2' };
  const given = await losing(() =>
    open.store.transfer({
      sessionId: 'chat:4',
      requestId: randomUUID(),
      lockValue: '',
      expectedEpoch: view.epoch,
      reason: 'transferred',
      target,
    }),
  );
  expect(given).toMatchObject({ result: 'done', view: { connectionId: target.connectionId, rev: 2 } });
  const released = { ...lease, connectionId: target.connectionId, epoch: given.view.epoch };
  const reason = { reason: 'released', policy: 'next_subscriber', staysWatching: false } as const;
  expect(await losing(() => open.store.release({ ...released, requestId: randomUUID(), ...reason }))).toBe(true);
  expect(await open.store.read('chat:4')).toMatchObject({ state: 'free', rev: 3 });
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
  const { keys, commands } = open.connection;
  const partitions = Array.from({ length: open.store.partitions }, (_, partition) => partition);
  for (const partition of partitions) {
    await commands.zadd(keys.deadlines(partition), 1, 'ghost');
    if ((await commands.zscore(keys.deadlines(partition), 'chat:10')) !== null) {
      await commands.zadd(keys.deadlines(partition), 1, 'chat:10');
    }
  }
  const swept = await Promise.all(partitions.map((partition) => open.store.sweep(partition, 100)));
  expect(swept.flatMap(({ released }) => released)).toEqual([]);
  const left = await Promise.all(
    partitions.map((partition) => commands.zrange(keys.deadlines(partition), 0, -1, 'WITHSCORES')),
  );
  expect(left.flat()).toEqual(['chat:10', String(view.deadlineMs)]);
});
