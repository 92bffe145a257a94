import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { redisCall } from '../support/redis-process.js';
import { codeOf, inspect, newSession, own, useCluster, watch } from './use-cluster.js';

const ROUNDS = 40;

describe('nodes whose pub/sub connections are killed again and again', () => {
  const cluster = useCluster({ nodes: 3, graceMs: 5_000 });

  test('watchers converge on the true state', async () => {
    const sessions = Array.from({ length: 30 }, () => newSession());
    const watchers = await Promise.all([0, 1, 2].map((node) => cluster().connect(node)));
    for (const watcher of watchers) for (const session of sessions) await watch(watcher, session);
    let owner = await cluster().connect(0);
    const tokens = new Map<string, string>();
    for (const session of sessions) tokens.set(session, (await own(owner, session)).token);

    const killed: number[] = [];
    for (let round = 0; round < ROUNDS; round += 1) {
      killed.push(Number(await redisCall(cluster().redis.port, 'CLIENT', 'KILL', 'TYPE', 'pubsub')));
      const next = await cluster().connect(round % 3);
      await Promise.all(
        sessions.map(async (session) => {
          const { token } = await own(next, session, { reconnect_token: tokens.get(session) ?? '' });
          tokens.set(session, token);
        }),
      );
      owner.terminate();
      owner = next;
      await sleep(Math.random() * 50);
    }
    // Without a kill that hit something this would test nothing.
    expect(killed.filter((count) => count > 0).length).toBeGreaterThan(ROUNDS / 4);

    // The last event of each session falls into a gap, and none comes after it.
    for (const session of sessions) {
      const released = owner.release(session);
      await redisCall(cluster().redis.port, 'CLIENT', 'KILL', 'TYPE', 'pubsub');
      expect(codeOf(await released)).toBe('release_ack');
    }
    for (const session of sessions) {
      await expect
        .poll(
          async () => {
            const { state, owner_epoch, rev } = await inspect(cluster().node(0), session);
            const truth = { state, owner_epoch, rev };
            const views = watchers.map((watcher) => watcher.ownership(session).at(-1));
            return views.every(
              (view) => view?.state === truth.state && view.owner_epoch === truth.owner_epoch && view.rev === truth.rev,
            );
          },
          { timeout: 10_000, interval: 100 },
        )
        .toBe(true);
    }
  }, 60_000);
});
