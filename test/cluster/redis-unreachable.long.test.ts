import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { tokenOf } from '../support/raw-client.js';
import { codeOf, inspect, newAttempt, newSession, own, seen, useCluster, watch } from './use-cluster.js';

const OUTAGE_MS = 10_000;

describe('a Redis that the nodes cannot reach', () => {
  const cluster = useCluster({ nodes: 2, proxied: true });

  test('for 10 s: sockets stay open, claims are refused quickly, owners stop in time, and all heals by itself', async () => {
    const session = newSession();
    const owner = await cluster().connect(0);
    const watcher = await cluster().connect(1);
    const { epoch } = await own(owner, session);
    await watch(watcher, session);
    const attempt = { attempt_id: newAttempt() };

    for (const index of [0, 1]) cluster().proxy(index).pause();
    const pausedMs = performance.now();
    const unsure = await owner.nextFrame('ownership_lost');
    expect(unsure.message).toMatchObject({ reason: 'lease_unconfirmed', owner_epoch: epoch });
    expect(unsure.atMs - pausedMs).toBeLessThan(cluster().leaseMs);

    while (performance.now() < pausedMs + OUTAGE_MS) {
      for (const client of [owner, watcher]) {
        const askedMs = performance.now();
        const refused = await client.request({ type: 'claim', session_id: session, ...attempt });
        expect(refused).toMatchObject({ type: 'error', code: 'store_unavailable', retryable: true });
        expect(performance.now() - askedMs).toBeLessThan(2_500);
        expect(codeOf(await client.request({ type: 'ping' }))).toBe('pong');
      }
      await sleep(500);
    }
    expect(await cluster().node(0).isReady()).toBe(false);

    for (const index of [0, 1]) cluster().proxy(index).resume();
    const sure = await owner.next('ownership', (it) => it.reason === 'confirmed', 10_000);
    expect(sure).toMatchObject({ owner: true, owner_epoch: epoch });
    await Promise.all(cluster().nodes.map((node) => node.untilReady()));
    await own(await cluster().connect(1), newSession());
    // Any of the owner's claims may have arrived after all: the same attempt tells it the token that counts now.
    const claimed = await owner.claim(session, attempt);
    expect(claimed.owner_epoch).toBe(epoch);
    await own(await cluster().connect(1), session, { reconnect_token: tokenOf(claimed) });
    await watcher.nextOwnership(session, 'owned');
    expect([owner.closed, watcher.closed]).toEqual([undefined, undefined]);
    expect(seen(watcher, session)).toEqual(['owned reclaimed']);
  }, 40_000);

  test('by one node alone: its owner stops before another can take the session', async () => {
    const session = newSession();
    const old = await cluster().connect(0);
    const next = await cluster().connect(1);
    const { epoch } = await own(old, session);
    await watch(next, session);
    cluster().proxy(0).pause();
    await next.nextOwnership(session, 'free', 10_000);
    const claimed = await next.claim(session);
    const takenMs = performance.now();
    expect(claimed.owner_epoch).toBeGreaterThan(epoch);
    const stopped = await old.nextFrame('ownership_lost');
    expect(stopped.message).toMatchObject({ reason: 'lease_unconfirmed' });
    expect(stopped.atMs).toBeLessThan(takenMs);
    expect(codeOf(await old.release(session))).toBe('ownership_unconfirmed');

    cluster().proxy(0).resume();
    await old.next('ownership_lost', ({ reason }) => reason !== 'lease_unconfirmed', 10_000);
    expect(codeOf(await old.release(session))).toBe('not_owner');
    expect(await inspect(cluster().node(1), session)).toMatchObject({ connection_id: next.id });
    expect(next.all('ownership_lost')).toEqual([]);
  }, 30_000);

  test('in time: a hold and renewals that arrive late move no deadline and take nothing back', async () => {
    const session = newSession();
    const old = await cluster().connect(0);
    const watcher = await cluster().connect(1);
    const { token } = await own(old, session);
    await watch(watcher, session);
    cluster().proxy(0).delay(600);
    // A renewal is on its way, and the hold follows it.
    await sleep(cluster().leaseMs / 4);
    old.terminate();
    const back = await cluster().connect(1);
    const { epoch } = await own(back, session, { reconnect_token: token });
    await sleep(2 * cluster().leaseMs);
    expect(await inspect(cluster().node(1), session)).toMatchObject({
      state: 'owned',
      owner_epoch: epoch,
      connection_id: back.id,
    });
    expect(seen(watcher, session)).toEqual(['owned reclaimed']);
    expect(back.all('ownership_lost')).toEqual([]);
  });

  test('for a moment: a release that arrives after a reclaim elsewhere frees nothing', async () => {
    const session = newSession();
    const old = await cluster().connect(0);
    const watcher = await cluster().connect(1);
    const { token } = await own(old, session);
    await watch(watcher, session);
    cluster().proxy(0).pause();
    // Its node is still sure of the lease, and right to be.
    const released = old.release(session);
    const back = await cluster().connect(1);
    const { epoch } = await own(back, session, { reconnect_token: token });
    cluster().proxy(0).resume();
    expect(codeOf(await released)).toBe('not_owner');
    expect(await inspect(cluster().node(1), session)).toMatchObject({ state: 'owned', owner_epoch: epoch });
    expect(seen(watcher, session)).toEqual(['owned reclaimed']);
  });
});
