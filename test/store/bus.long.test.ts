import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { busContract } from '../contract/bus.contract.js';
import { type PrivateRedis, startPrivateRedis, testRedis } from '../support/redis.js';
import { eventually, redisCall } from '../support/redis-process.js';
import { TcpProxy } from '../support/tcp-proxy.js';
import { numbered, type WatchedBus, watchedBus } from './bus-harness.js';

busContract('Redis', async () => {
  const { url, prefix } = testRedis();
  const [one, other] = [await watchedBus(url, prefix), await watchedBus(url, prefix)];
  await eventually('a healthy bus', async () => one.bus.healthy());
  return { bus: one.bus, other: other.bus, close: async () => void (await Promise.all([one.close(), other.close()])) };
});

describe('Redis bus', () => {
  let redis: PrivateRedis;
  let node: WatchedBus;
  let other: WatchedBus;

  beforeAll(async () => {
    redis = await startPrivateRedis();
  });

  afterAll(() => redis.stop());

  beforeEach(async () => {
    const prefix = `hft-${randomUUID().slice(0, 8)}`;
    node = await watchedBus(redis.url, prefix);
    other = await watchedBus(redis.url, prefix);
    await expect.poll(() => node.bus.healthy()).toBe(true);
  });

  afterEach(async () => {
    redis.resume();
    await Promise.all([node.close(), other.close()]);
  });

  const ids = (count: number) => Array.from({ length: count }, (_, i) => `s${i}`);
  const subscribeAll = (sessions: string[]) => Promise.all(sessions.map((id) => node.bus.subscribe(id)));
  const killSubscribers = () => redisCall(redis.port, 'CLIENT', 'KILL', 'TYPE', 'pubsub');
  /** The session channels that the server has for the bus. */
  const channels = async () => {
    const pattern = `${node.connection.keys.prefix}:*:s:*`;
    return ((await redisCall(redis.port, 'PUBSUB', 'CHANNELS', pattern)) as string[]).sort();
  };
  const expectDelivery = async (sessions: string[], number: number) => {
    await Promise.all(sessions.map((id) => other.bus.publish(numbered(id, number))));
    await expect.poll(() => sessions.filter((id) => !node.of(id).includes(number))).toEqual([]);
  };

  test('an event published after subscribe resolved is never missed', async () => {
    const sessions = ids(1_000);
    for (const id of sessions) {
      await node.bus.subscribe(id);
      await other.bus.publish(numbered(id, 1));
    }
    await expect.poll(() => node.received.length).toBe(1_000);
    expect(new Set(node.received.map(({ sessionId }) => sessionId)).size).toBe(1_000);
  });

  test('events of a session arrive in order', async () => {
    const sessions = ids(20);
    await subscribeAll(sessions);
    const numbers = Array.from({ length: 200 }, (_, i) => i);
    const published = numbers.flatMap((number) => sessions.map((id) => other.bus.publish(numbered(id, number))));
    await Promise.all(published);
    await expect.poll(() => node.received.length).toBe(4_000);
    for (const id of sessions) expect(node.of(id)).toEqual(numbers);
  });

  test('a lost connection is a gap, reported when every channel is back', async () => {
    const sessions = ids(1_500);
    await subscribeAll(sessions);
    const atGap: { healthy: boolean; channels: Promise<unknown> }[] = [];
    node.bus.onGap(() => {
      atGap.push({ healthy: node.bus.healthy(), channels: channels() });
    });
    const lost = new Promise<void>((resolve) => node.subscribers[0]?.once('close', resolve));
    await killSubscribers();
    await lost;
    expect(node.bus.healthy()).toBe(false);
    await expect.poll(() => atGap.length).toBe(1);
    expect(await atGap[0]?.channels).toHaveLength(1_500);
    await expect.poll(() => node.bus.healthy()).toBe(true);
    await expectDelivery(sessions, 7);
    expect(atGap).toHaveLength(1);
  });

  describe('over a network', () => {
    let proxy: TcpProxy;
    let far: WatchedBus;

    beforeEach(async () => {
      proxy = await TcpProxy.start(redis.port);
      far = await watchedBus(`redis://127.0.0.1:${proxy.port}`);
      await Promise.all(ids(40).map((id) => far.bus.subscribe(id)));
    });

    afterEach(async () => {
      await far.close();
      await proxy.stop();
    });

    test('that is slow, a gap is reported only once the server has every channel', async () => {
      const atGap: Promise<unknown>[] = [];
      const pattern = `${far.connection.keys.prefix}:*:s:*`;
      far.bus.onGap(() => atGap.push(redisCall(redis.port, 'PUBSUB', 'CHANNELS', pattern)));
      proxy.delay(150);
      await killSubscribers();
      await expect.poll(() => atGap.length, { timeout: 5_000 }).toBe(1);
      expect(await atGap[0]).toHaveLength(40);
    });

    test('that is cut for seconds, the connection that comes up at last is kept', async () => {
      proxy.pause();
      far.subscribers[0]?.stream.destroy();
      await sleep(3_300);
      proxy.resume();
      await expect.poll(() => far.gaps, { timeout: 5_000 }).toBe(1);
      await sleep(2_500);
      expect([far.gaps, far.subscribers.length]).toEqual([1, 2]);
    });
  });

  test('it converges however often the connection is killed', async () => {
    const sessions = ids(50);
    await subscribeAll(sessions);
    for (let i = 0; i < 15; i += 1) {
      await killSubscribers();
      await sleep(Math.random() * 60);
    }
    const endMs = performance.now();
    await expect.poll(() => node.bus.healthy(), { timeout: 5_000 }).toBe(true);
    expect(performance.now() - endMs).toBeLessThan(4_000);
    expect(node.gaps).toBeGreaterThan(0);
    await expectDelivery(sessions, 8);
  });

  test('a server that stops answering is noticed within about 3 s, and healed when it answers again', async () => {
    const sessions = ids(20);
    await subscribeAll(sessions);
    const startMs = performance.now();
    redis.pause();
    await expect.poll(() => node.bus.healthy(), { timeout: 6_000 }).toBe(false);
    expect(performance.now() - startMs).toBeLessThan(3_500);
    await expect(node.bus.subscribe('while-away')).rejects.toMatchObject({ code: 'store_unavailable' });
    redis.resume();
    await expect.poll(() => node.bus.healthy(), { timeout: 8_000 }).toBe(true);
    expect(node.gaps).toBeGreaterThan(0);
    await expectDelivery(sessions, 9);
    await expect.poll(channels, { timeout: 4_000 }).toHaveLength(20);
  });

  test('subscribing and unsubscribing at random ends in what was asked last', async () => {
    const sessions = ids(12);
    const wanted = new Set<string>();
    for (let i = 0; i < 1_500; i += 1) {
      const id = sessions[Math.floor(Math.random() * sessions.length)] as string;
      if (Math.random() < 0.5) {
        wanted.add(id);
        const subscribed = node.bus.subscribe(id);
        if (Math.random() < 0.3) await subscribed;
      } else {
        wanted.delete(id);
        await node.bus.unsubscribe(id);
      }
      if (i % 600 === 599) await sleep(2_600);
    }
    await expect
      .poll(channels, { timeout: 4_000 })
      .toEqual([...wanted].map((id) => node.connection.keys.channel(id)).sort());
    await expectDelivery([...wanted], 10);
    expect(node.gaps).toBe(0);
  });

  test('letting a channel go never undoes a subscribe that follows', async () => {
    const around = async (id: string, lingeredMs: number) => {
      await node.bus.subscribe(id);
      await node.bus.unsubscribe(id);
      await sleep(lingeredMs);
      await node.bus.subscribe(id);
      await expectDelivery([id], 1);
    };
    await Promise.all(ids(100).map((id, i) => around(id, 1_800 + i * 9)));
  });

  test('five thousand channels linger at most, and none for long', async () => {
    const sessions = ids(5_400);
    await subscribeAll(sessions);
    await Promise.all(sessions.map((id) => node.bus.unsubscribe(id)));
    await node.bus.subscribe('after');
    expect((await channels()).length).toBeLessThanOrEqual(5_001);
    await expect.poll(channels, { timeout: 4_000 }).toHaveLength(1);
  });

  test('a probe finds a subscription that died in silence', async () => {
    await node.bus.subscribe('s');
    const [raw] = node.subscribers;
    const pattern = `${node.connection.keys.prefix}:*:probe:*`;
    const probes = (await redisCall(redis.port, 'PUBSUB', 'CHANNELS', pattern)) as string[];
    await raw?.unsubscribe(...probes);
    // The server's count of subscriptions stays right: only a delivery that does not happen shows the loss.
    await raw?.subscribe('elsewhere');
    await expect.poll(() => node.gaps, { timeout: 9_000 }).toBe(1);
    expect(node.probes.lost).toBe(1);
    await expect.poll(() => node.bus.healthy()).toBe(true);
    expect(node.logged).toContain('subscriptions lost');
    await expectDelivery(['s'], 11);
  });

  test('a channel that only the server has forgotten is noticed by its count', async () => {
    await subscribeAll(['lost', 'kept']);
    await node.subscribers[0]?.unsubscribe(node.connection.keys.channel('lost'));
    await expect.poll(() => node.gaps, { timeout: 6_000 }).toBe(1);
    expect(node.probes.lost).toBe(0);
    await expectDelivery(['lost', 'kept'], 12);
  });

  test('what cannot be decoded is logged and dropped', async () => {
    await node.bus.subscribe('s');
    await redisCall(redis.port, 'PUBLISH', node.connection.keys.channel('s'), 'x{');
    await redisCall(redis.port, 'PUBLISH', node.connection.keys.channel('s'), 'o\tno');
    await expectDelivery(['s'], 13);
    expect(node.received).toHaveLength(1);
    expect(node.logged.filter((message) => message === 'event not decoded')).toHaveLength(2);
  });
});
