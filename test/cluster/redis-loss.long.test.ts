import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import type { RawClient } from '../support/raw-client.js';
import { inspect, newSession, own, seen, useCluster, watch } from './use-cluster.js';

interface Owned {
  session: string;
  owner: RawClient;
  watcher: RawClient;
  token: string;
  epoch: number;
}

/** Two owners a node, each with a watcher on the next node. */
async function ownedSessions(cluster: ReturnType<ReturnType<typeof useCluster>>, nodes: readonly number[]) {
  const owned: Owned[] = [];
  for (const node of [...nodes, ...nodes]) {
    const session = newSession();
    const owner = await cluster.connect(node);
    const watcher = await cluster.connect((node + 1) % cluster.nodes.length);
    owned.push({ session, owner, watcher, ...(await own(owner, session)) });
    await watch(watcher, session);
  }
  return owned;
}

describe('a Redis that restarts without its data', () => {
  const cluster = useCluster({ nodes: 2 });

  test('owners have their sessions again at a higher epoch or are told, and tokens go on working', async () => {
    const owned = await ownedSessions(cluster(), [0, 1]);
    await cluster().redis.restart();
    for (const { session, owner, epoch } of owned) {
      const told = await Promise.race([
        owner.next('ownership', (it) => it.session_id === session && it.owner_epoch > epoch, 10_000),
        owner.next('ownership_lost', (it) => it.reason !== 'lease_unconfirmed', 10_000),
      ]);
      if (told.type === 'ownership') expect(told).toMatchObject({ state: 'owned', owner: true });
      else expect((await owner.claim(session)).owner_epoch).toBeGreaterThan(epoch);
    }
    for (const { session, owner, watcher, epoch } of owned) {
      const truth = await inspect(cluster().node(0), session);
      expect(truth).toMatchObject({ state: 'owned', connection_id: owner.id });
      expect(truth.owner_epoch).toBeGreaterThan(epoch);
      await expect
        .poll(() => watcher.ownership(session).at(-1)?.owner_epoch, { timeout: 5_000 })
        .toBe(truth.owner_epoch);
    }
    const [first] = owned;
    if (first === undefined) throw new Error('no session');
    const isReestablished = first.owner.all('ownership_lost').every(({ reason }) => reason === 'lease_unconfirmed');
    if (isReestablished) {
      const back = await cluster().connect(1);
      await own(back, first.session, { reconnect_token: first.token });
    }
    const fresh = await own(await cluster().connect(0), newSession());
    for (const { epoch } of owned) expect(fresh.epoch).toBeGreaterThan(epoch);
  });
});

describe('a Redis that is away for longer than the lease and comes back with its data', () => {
  const cluster = useCluster({
    nodes: 3,
    redis: { args: ['--appendonly', 'yes', '--appendfsync', 'always'] },
  });

  /** Each resolves when Redis is back, with a time at which it was not yet. */
  const outages: [string, () => Promise<number>][] = [
    [
      'stopped (SIGSTOP)',
      async () => {
        cluster().redis.pause();
        await sleep(cluster().leaseMs * 1.5);
        const awayMs = performance.now();
        cluster().redis.resume();
        return awayMs;
      },
    ],
    [
      'killed and started again',
      async () => {
        await cluster().redis.kill();
        await sleep(cluster().leaseMs * 1.5);
        const awayMs = performance.now();
        await cluster().redis.restart();
        return awayMs;
      },
    ],
  ];

  test.each(outages)(
    '%s: owners keep their epoch, and nobody is released before a full lease has passed',
    async (_, outage) => {
      const owned = await ownedSessions(cluster(), [0, 1]);
      // A session whose node dies just before: after the outage it has to wait for a lease of its own.
      const orphan = newSession();
      await own(await cluster().connect(2), orphan);
      const observer = await cluster().connect(1);
      await watch(observer, orphan);
      await cluster().node(2).kill();

      const awayMs = await outage();

      for (const { session, owner, epoch } of owned) {
        const unsure = await owner.next('ownership_lost', (it) => it.session_id === session);
        expect(unsure).toMatchObject({ reason: 'lease_unconfirmed', owner_epoch: epoch });
        const sure = await owner.next('ownership', (it) => it.session_id === session, 10_000);
        expect(sure).toMatchObject({ reason: 'confirmed', owner: true, owner_epoch: epoch });
      }
      const freed = await observer.nextFrame('ownership', (it) => it.session_id === orphan, 15_000);
      expect(freed.message).toMatchObject({ state: 'free', reason: 'expired' });
      expect(freed.atMs - awayMs).toBeGreaterThan(cluster().leaseMs - 100);

      // By now every guard is over: an owner that was not renewed would have lapsed.
      await sleep(500);
      for (const { session, owner, watcher, epoch } of owned) {
        expect(await inspect(cluster().node(0), session)).toMatchObject({
          state: 'owned',
          owner_epoch: epoch,
          connection_id: owner.id,
        });
        expect(seen(watcher, session)).toEqual([]);
      }
      expect(seen(observer, orphan)).toEqual(['free expired']);
    },
  );
});
