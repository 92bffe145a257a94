import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { backendCall, historyOf, positionOf, publish } from '../support/message-calls.js';
import { expectReply } from '../support/raw-client.js';
import { newSession, own, useCluster, watch } from './use-cluster.js';

describe('messages while Redis cannot be reached', () => {
  const cluster = useCluster({ nodes: 2, graceMs: 10_000, proxied: true });

  test('wait for it, and are stored once', async () => {
    const session = newSession();
    const owner = await cluster().connect(0);
    const watcher = await cluster().connect(1);
    await own(owner, session);
    await watch(watcher, session);
    await publish(cluster().node(0), session, { data: 0 });

    cluster().redis.pause();
    const sent = [1, 2, 3].map((data) => owner.request({ type: 'send', session_id: session, data }, 15_000));
    await sleep(3_000);
    cluster().redis.resume();
    for (const [i, reply] of (await Promise.all(sent)).entries()) {
      expect(expectReply('send_ack', reply).offset).toBe(i + 2);
    }
    await expect.poll(() => positionOf(watcher, session).offset, { timeout: 10_000 }).toBe(4);
    expect(await historyOf(cluster().node(1), session)).toHaveLength(4);
  }, 40_000);

  test('are stored once when the answers get lost', async () => {
    const session = newSession();
    const owner = await cluster().connect(0);
    await own(owner, session);
    for (let i = 1; i <= 5; i += 1) {
      void cluster().proxy(0).dropOnce('replies');
      const reply = await owner.request({ type: 'send', session_id: session, data: i }, 15_000);
      expect(expectReply('send_ack', reply).offset).toBe(i);
    }
    expect(await historyOf(cluster().node(1), session)).toHaveLength(5);
  }, 40_000);

  test('of the application are answered 503, and the same key is the same message later', async () => {
    const session = newSession();
    const message = { data: 'once', idempotency_key: 'k' };
    cluster().redis.pause();
    const response = await backendCall(cluster().node(0), 'POST', `sessions/${session}/messages`, message);
    expect(response.status).toBe(503);
    expect(response.headers.get('retry-after')).not.toBeNull();
    expect(await response.json()).toMatchObject({ code: 'store_unavailable', retryable: true });
    cluster().redis.resume();
    await expect.poll(() => cluster().node(1).isReady(), { timeout: 10_000 }).toBe(true);
    expect(await publish(cluster().node(1), session, message)).toMatchObject({ offset: 1 });
    await sleep(1_500);
    expect(await historyOf(cluster().node(1), session)).toHaveLength(1);
  }, 40_000);
});
