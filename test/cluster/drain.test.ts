import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { violationsIn } from '../support/invariants.js';
import { RawClient, UpgradeRefused } from '../support/raw-client.js';
import { ReturningOwner } from './returning-owner.js';
import { inspect, newSession, noHaproxy, own, seen, useCluster, watch, withHaproxy } from './use-cluster.js';

const DRAIN_MS = 3_000;

describe('a node that is told to stop (SIGTERM)', () => {
  const cluster = useCluster({ haproxy: noHaproxy === undefined, args: ['--drain-ms', `${DRAIN_MS}`] });

  // A connection that stops reading never answers the closing handshake and so keeps the drain going.
  const untilDraining = () => expect.poll(() => cluster().node(0).isReady()).toBe(false);

  test('refuses upgrades, hints, closes with 1012 and exits with 0 in time, and its owners go on elsewhere', async () => {
    const sessions = Array.from({ length: 10 }, () => newSession());
    const owners = await Promise.all(sessions.map(() => cluster().connect(0)));
    const watcher = await cluster().connect(1);
    const granted = await Promise.all(sessions.map((session, i) => own(owners[i] as RawClient, session)));
    for (const session of sessions) await watch(watcher, session);

    (await cluster().connect(0)).stopReading();
    const termedMs = performance.now();
    const exit = cluster().node(0).terminate();
    const hints = await Promise.all(owners.map((owner) => owner.next('reconnect')));
    for (const hint of hints) expect(hint).toMatchObject({ reason: 'drain' });
    await untilDraining();
    const refused = await RawClient.open(cluster().node(0).connectUrl).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(UpgradeRefused);
    expect(refused).toMatchObject({ status: 503 });
    expect(Number((refused as UpgradeRefused).retryAfter)).toBeGreaterThan(0);

    await Promise.all(
      owners.map(async (owner, i) => {
        expect(await owner.whenClosed).toMatchObject({ code: 1012 });
        const back = await cluster().connect(1);
        const again = await own(back, sessions[i] ?? '', { reconnect_token: granted[i]?.token ?? '' });
        expect(again.epoch).toBeGreaterThan(granted[i]?.epoch ?? 0);
      }),
    );
    expect(await exit).toEqual({ code: 0, signal: null });
    expect(performance.now() - termedMs).toBeLessThan(DRAIN_MS + 1_000);
    for (const session of sessions) {
      await watcher.nextOwnership(session, 'owned');
      expect(seen(watcher, session)).toEqual(['held disconnected', 'owned reclaimed']);
    }
  });

  test('holds what it hands over for longer than its hint, however short the grace period', async () => {
    const session = newSession();
    const owner = await cluster().connect(0);
    const { token } = await own(owner, session);
    const exit = cluster().node(0).terminate();
    const hint = await owner.next('reconnect');
    await owner.whenClosed;
    await exit;
    await sleep(Math.max(cluster().graceMs, hint.after_ms + hint.jitter_ms) + 500);
    expect((await inspect(cluster().node(1), session)).state).toBe('held');
    await own(await cluster().connect(1), session, { reconnect_token: token });
  });

  test('a second signal ends it at once', async () => {
    (await cluster().connect(0)).stopReading();
    const first = cluster().node(0).terminate();
    await untilDraining();
    const secondMs = performance.now();
    void cluster().node(0).terminate();
    expect((await first).code).not.toBe(0);
    expect(performance.now() - secondMs).toBeLessThan(500);
  });

  test.skipIf(noHaproxy)(
    withHaproxy('all nodes in turn under 50 owners that come back: no session is lost'),
    async () => {
      const { connectUrl } = cluster().haproxy;
      const owners = Array.from({ length: 50 }, () => new ReturningOwner(() => connectUrl, newSession()));
      await Promise.all(owners.map((owner) => owner.start()));
      for (const node of cluster().nodes) {
        expect((await node.stop()).code).toBe(0);
        await node.start();
      }
      for (const owner of owners) {
        const { acks, sessionId } = owner;
        await expect.poll(() => owner.isBack, { timeout: 10_000 }).toBe(true);
        expect(await inspect(cluster().node(0), sessionId)).toMatchObject({
          state: 'owned',
          owner_epoch: acks.at(-1)?.owner_epoch,
        });
      }
      const moves = owners.map(({ acks }) => acks.length - 1);
      expect(moves.reduce((sum, count) => sum + count, 0)).toBeGreaterThanOrEqual(50);
      for (const { acks } of owners) {
        // Owner at every single return: it was never free for somebody else, and no token was refused.
        for (const ack of acks.slice(1)) expect(ack).toMatchObject({ owner: true, token_status: 'accepted' });
      }
      expect(violationsIn(owners.flatMap(({ connections }) => connections))).toEqual([]);
      await Promise.all(owners.map((owner) => owner.stop()));
    },
    60_000,
  );
});
