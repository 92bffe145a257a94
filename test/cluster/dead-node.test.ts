import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { newSession, noHaproxy, own, seen, useCluster, watch, withHaproxy } from './use-cluster.js';

describe('a node that dies by SIGKILL', () => {
  const cluster = useCluster({ haproxy: noHaproxy === undefined });

  test('its owner takes the session back on another node at once', async () => {
    const session = newSession();
    const owner = await cluster().connect(0);
    const watcher = await cluster().connect(2);
    const { token, epoch } = await own(owner, session);
    await watch(watcher, session);
    await cluster().node(0).kill();
    const killedMs = performance.now();
    const back = await cluster().connect(1);
    const again = await own(back, session, { reconnect_token: token });
    expect(performance.now() - killedMs).toBeLessThan(1_000);
    expect(again.epoch).toBeGreaterThan(epoch);
    await watcher.nextOwnership(session, 'owned');
    expect(seen(watcher, session)).toEqual(['owned reclaimed']);
  });

  test.skipIf(noHaproxy)(withHaproxy('also through HAProxy, whatever node it was'), async () => {
    for (let round = 0; round < 3; round += 1) {
      const session = newSession();
      const owner = await cluster().connect('haproxy');
      const { token, epoch } = await own(owner, session);
      const victim = cluster().servedBy(owner);
      await victim.kill();
      const back = await cluster().connect('haproxy');
      expect(back.welcome.node).not.toBe(victim.nodeId);
      const again = await own(back, session, { reconnect_token: token });
      expect(again.epoch).toBeGreaterThan(epoch);
      await victim.start();
    }
  });

  test('without a token the session becomes free, once for each watcher, after the whole grace period', async () => {
    const sessions = [newSession(), newSession(), newSession()];
    const owner = await cluster().connect(0);
    const watchers = [await cluster().connect(1), await cluster().connect(2), await cluster().connect(2)];
    for (const session of sessions) {
      await own(owner, session);
      for (const watcher of watchers) await watch(watcher, session);
    }
    await cluster().node(0).kill();
    const killedMs = performance.now();
    for (const session of sessions) {
      for (const watcher of watchers) {
        const { atMs } = await watcher.nextFrame('ownership', (it) => it.session_id === session);
        expect(atMs - killedMs).toBeGreaterThan(cluster().graceMs - 50);
        expect(atMs - killedMs).toBeLessThan(cluster().leaseMs + 2_000);
      }
    }
    // Another node's sweep, had it published too, would have come by now.
    await sleep(500);
    for (const watcher of watchers) {
      for (const session of sessions) expect(seen(watcher, session)).toEqual(['free expired']);
    }
    const next = await cluster().connect(1);
    await own(next, sessions[0] ?? '');
  });
});

describe('a node that dies and starts again within the lease', () => {
  const cluster = useCluster({ nodes: 2, graceMs: 15_000 });

  test('a node that comes back under its old name has none of its old sessions', async () => {
    const session = newSession();
    const { token } = await own(await cluster().connect(0), session);
    await cluster().node(0).kill();
    await cluster().node(0).start();
    const stranger = await cluster().connect(0);
    expect(await stranger.subscribe(session)).toMatchObject({ owner: false, state: 'owned' });
    await own(await cluster().connect(0), session, { reconnect_token: token });
  });
});
