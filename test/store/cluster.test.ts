import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { RedisLock } from '../../src/store/redis/lock.js';
import { checkRequirements } from '../../src/store/redis/requirements.js';
import { type RedisCluster, startRedisCluster } from '../support/redis-cluster.js';
import { claimOf, type OpenStore, openStore } from './redis-store.js';

let cluster: RedisCluster;
let open: OpenStore;

beforeAll(async () => {
  cluster = await startRedisCluster();
  open = await openStore(cluster.url);
});
afterAll(async () => {
  await open?.connection.close();
  await cluster?.stop();
});

test('meets the requirements on all three masters', async () => {
  await checkRequirements(open.connection);
  expect(open.connection.masters()).toHaveLength(3);
});

test('every verb works in every partition, spread over the masters', async () => {
  const { store } = open;
  // What each partition's first sweep finds is a gap, after which a whole lease must pass.
  await Promise.all(Array.from({ length: store.partitions }, (_, partition) => store.sweep(partition, 1)));
  const requests = Array.from({ length: 640 }, (_, i) =>
    claimOf(`cluster:${i}`, { policy: 'oldest_watcher', leaseMs: 50 }),
  );
  const claims = await Promise.all(requests.map((request) => store.claim(request)));
  expect(new Set(claims.map(({ result }) => result))).toEqual(new Set(['owned']));
  const sizes = await Promise.all(open.connection.masters().map((master) => master.dbsize()));
  for (const size of sizes) expect(size).toBeGreaterThan(640 / 5);

  const leases = requests.map(({ sessionId, connectionId }, i) => ({
    sessionId,
    connectionId,
    epoch: claims[i]?.view.epoch ?? 0,
  }));
  expect(new Set(await store.renew(leases, 60_000))).toEqual(new Set(['renewed']));
  // The first two are taken from their owners below, which on a busy machine may be later than the others lapse.
  const held = [...(await store.hold(leases.slice(0, 2), 60_000)), ...(await store.hold(leases.slice(2), 50))];
  expect(held).toEqual(requests.map(() => true));
  const views = await store.peek(leases.map(({ sessionId }) => sessionId));
  expect(views.map((view) => view?.connectionId)).toEqual(leases.map(({ connectionId }) => connectionId));

  const [first, second] = requests;
  if (first === undefined || second === undefined) throw new Error('no requests');
  const { mode: _, ...again } = { ...first, leaseMs: 60_000, requestId: randomUUID(), tokenHash: randomUUID() };
  const taken = await store.reclaim({ ...again, presentedTokenHash: first.tokenHash, claimIfExpired: false });
  expect(taken.result).toBe('owned');
  const lock = new RedisLock(open.connection);
  const transferred = await lock.withLock(second.sessionId, 1000, (lockValue) =>
    store.transfer({
      sessionId: second.sessionId,
      requestId: randomUUID(),
      lockValue,
      expectedEpoch: claims[1]?.view.epoch ?? 0,
      reason: 'removed',
      target: undefined,
    }),
  );
  expect(transferred).toMatchObject({ result: 'done', view: { state: 'free' } });
  const released = await store.release({
    sessionId: first.sessionId,
    connectionId: first.connectionId,
    epoch: taken.view.epoch,
    requestId: randomUUID(),
    reason: 'released',
    policy: 'oldest_watcher',
    staysWatching: true,
  });
  expect(released).toBe(true);
  await store.unwatch(first.sessionId, first.connectionId);
  expect(await store.read(first.sessionId)).toMatchObject({ state: 'free' });

  await sleep(60);
  const sweeps = [0, 1].map(() =>
    Array.from({ length: store.partitions }, (_, partition) => store.sweep(partition, 1000)),
  );
  await Promise.all(sweeps.flat());
  const swept = await Promise.all(
    Array.from({ length: store.partitions }, (_, partition) => store.sweep(partition, 1000)),
  );
  const all = [...(await Promise.all(sweeps.flat())), ...swept].flatMap((outcome) => outcome.released);
  expect(all.sort()).toEqual(
    requests
      .slice(2)
      .map(({ sessionId }) => sessionId)
      .sort(),
  );
});

test('a slot that moves to another master takes its sessions along', async () => {
  const { store, connection } = open;
  const request = claimOf('moving:1');
  const { view } = await store.claim(request);
  const key = connection.keys.owner(request.sessionId);
  const masters = connection.masters();
  const slot = Number(await masters[0]?.cluster('KEYSLOT', key));
  const from = masters.find((master) => connection.commands.isCluster && slotsOwner(slot) === master.options.port);
  const to = masters.find((master) => master !== from);
  if (from === undefined || to === undefined) throw new Error('no master for the slot');
  const ids = await Promise.all([from, to].map((master) => master.cluster('MYID')));
  const [fromId, toId] = ids as [string, string];
  await to.cluster('SETSLOT', slot, 'IMPORTING', fromId);
  await from.cluster('SETSLOT', slot, 'MIGRATING', toId);
  const claiming = store.claim(claimOf('moving:1'));
  const keys = await from.cluster('GETKEYSINSLOT', slot, 100);
  for (const name of keys) await from.migrate(to.options.host ?? '', to.options.port ?? 0, name, 0, 1000);
  await Promise.all([to, from].map((master) => master.cluster('SETSLOT', slot, 'NODE', toId)));
  expect(await claiming).toMatchObject({ result: 'unclaimed', view: { epoch: view.epoch } });
  expect(await store.read('moving:1')).toMatchObject({ state: 'owned', epoch: view.epoch });
});

function slotsOwner(slot: number): number {
  const { commands } = open.connection;
  if (!('slots' in commands)) throw new Error('not a Cluster');
  return Number(commands.slots[slot]?.[0]?.split(':').at(-1));
}
