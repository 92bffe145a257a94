import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type Backend,
  createBackend,
  createPublisher,
  createRedisPublisher,
  type Publisher,
  type RedisScriptClient,
} from '../../src/server/index.js';
import { type GatewayProcess, SECRETS, startGateway } from '../support/gateway-process.js';
import { RawClient } from '../support/raw-client.js';
import { testRedis } from '../support/redis.js';

const dataOf = (message: object) => ('data' in message ? message.data : undefined);
let sessions = 0;

describe('publishing into the gateway’s Redis', () => {
  let gateway: GatewayProcess;
  let backend: Backend;
  let redis: Redis;
  let publisher: Publisher;
  let prefix: string;

  beforeAll(async () => {
    const place = testRedis();
    prefix = place.prefix;
    redis = new Redis(place.url, { commandTimeout: 1_000 });
    gateway = await startGateway({ nodeId: 'n1', redisUrl: place.url, redisPrefix: prefix, graceMs: 2_000 });
    backend = createBackend({ url: gateway.url, apiKey: SECRETS.HOLDFAST_API_KEY });
    publisher = createRedisPublisher({ client: redis, prefix });
  });

  afterAll(async () => {
    await publisher?.close();
    redis?.disconnect();
    await gateway?.stop();
  });

  const newSession = () => `direct:${++sessions}`;

  it('reaches subscribers and the history like what goes over the gateway, in one order with it', async () => {
    const sessionId = newSession();
    const client = await RawClient.connect(gateway.connectUrl);
    client.send({ type: 'subscribe', session_id: sessionId, claim: 'never' });
    await client.next('subscribe_ack');
    const first = await backend.publish(sessionId, { data: 'over HTTP' });
    const second = await publisher.publish(sessionId, { data: { direct: '“ü”' } });
    const ephemeral = await publisher.publish(sessionId, { data: 'gone', ephemeral: true });
    const third = await publisher.publish(sessionId, { bytes: 'AP8=' });
    expect([first, second, ephemeral, third].map(({ offset }) => offset)).toEqual([1, 2, 2, 3]);
    expect(new Set([first, second, third].map(({ epoch }) => epoch)).size).toBe(1);
    const received = [];
    for (let count = 0; count < 4; count++) received.push(await client.next('message'));
    expect(received).toMatchObject([
      { offset: 1, data: 'over HTTP' },
      { offset: 2, data: { direct: '“ü”' } },
      { offset: 2, data: 'gone', ephemeral: true },
      { offset: 3, bytes: 'AP8=' },
    ]);
    const { messages, position } = await backend.history(sessionId, { after: 0 });
    expect(position.offset).toBe(3);
    expect(messages).toMatchObject([{ data: 'over HTTP' }, { data: { direct: '“ü”' } }, { bytes: 'AP8=' }]);
    await client.close();
  });

  it.each(['Redis', 'HTTP'])('keeps the order of each session, however much comes at once, over %s', async (way) => {
    const publisher = way === 'HTTP' ? createPublisher(backend) : createRedisPublisher({ client: redis, prefix });
    const ids = [newSession(), newSession(), newSession()];
    const published = ids.flatMap((id) => Array.from({ length: 500 }, (_, n) => publisher.publish(id, { data: n })));
    const offsets = (await Promise.all(published)).map(({ offset }) => offset);
    for (const [index, id] of ids.entries()) {
      expect(offsets.slice(index * 500, (index + 1) * 500)).toEqual(Array.from({ length: 500 }, (_, n) => n + 1));
      const { messages } = await backend.history(id, { after: 0, limit: 1_000 });
      expect(messages.map(dataOf)).toEqual(Array.from({ length: 500 }, (_, n) => n));
    }
    await publisher.close();
  });

  it('knows a message again that came under its key, over HTTP too', async () => {
    const sessionId = newSession();
    const message = { data: [1, 'two'], idempotency_key: 'order-7' };
    const first = await backend.publish(sessionId, message);
    expect(await publisher.publish(sessionId, message)).toEqual({ ...first, duplicate: true });
    await expect(publisher.publish(sessionId, { ...message, data: 'other' })).rejects.toMatchObject({
      code: 'idempotency_conflict',
    });
    const direct = await publisher.publish(sessionId, { data: 1, idempotency_key: 'order-8' });
    expect(await backend.publish(sessionId, { data: 1, idempotency_key: 'order-8' })).toEqual({
      ...direct,
      duplicate: true,
    });
  });

  it('refuses what does not fit the session or is no message', async () => {
    const sessionId = newSession();
    await publisher.publish(sessionId, { data: 1, expected_offset: 0, expected_owner_epoch: 0 });
    const code = (message: object, id = sessionId) =>
      publisher.publish(id, message as { data: unknown }).catch((error: { code: string }) => error.code);
    expect(await code({ data: 2, expected_offset: 0 })).toBe('offset_conflict');
    expect(await code({ data: 2, expected_owner_epoch: 9 })).toBe('stale_epoch');
    expect(await code({ data: 'x'.repeat(65_536) })).toBe('message_too_large');
    expect(await code({})).toBe('invalid_field');
    expect(await code({ data: 1, bytes: 'AA==' })).toBe('invalid_field');
    expect(await code({ data: 1 }, 'no session')).toBe('invalid_field');
  });

  it('publishes once when the answer was lost', async () => {
    const sessionId = newSession();
    let losses = 2;
    const lossy: RedisScriptClient = {
      eval: (script, ...rest) => redis.eval(script, ...rest),
      evalsha: async (sha1, ...rest) => {
        const reply = await redis.evalsha(sha1, ...rest);
        if (losses-- > 0) throw new Error('Command timed out');
        return reply;
      },
    };
    const other = createRedisPublisher({ client: lossy, prefix });
    expect(await other.publish(sessionId, { data: 'once' })).toMatchObject({ offset: 1 });
    expect(losses).toBe(-1);
    expect((await backend.history(sessionId)).messages).toHaveLength(1);
  });

  it('shares a session with other publishers', async () => {
    const sessionId = newSession();
    const other = createRedisPublisher({ client: redis, prefix });
    for (const [index, each] of [publisher, other, publisher].entries()) {
      expect(await each.publish(sessionId, { data: index })).toMatchObject({ offset: index + 1 });
    }
  });

  it('closes when what is under way is done with, and takes no more', async () => {
    const sessionId = newSession();
    const other = createRedisPublisher({ client: redis, prefix });
    const published = other.publish(sessionId, { data: 1 });
    let isPublished = false;
    void published.then(() => (isPublished = true));
    await other.close();
    expect(isPublished).toBe(true);
    await expect(other.publish(sessionId, { data: 2 })).rejects.toMatchObject({ code: 'draining' });
  });

  it('refuses a prefix that is none', () => {
    expect(() => createRedisPublisher({ client: redis, prefix: 'a{b}' })).toThrow(TypeError);
  });
});
