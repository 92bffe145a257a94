import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { partitionOf as partitionOfSession } from '../../src/store/redis/partitions.js';
import { testRedis } from '../support/redis.js';
import { LONG_MS, requestsFor, sweepAll } from './harness.js';
import { outboxContract } from './outbox.contract.js';
import { newLogin, partitionOf, waitingFor } from './outbox-harness.js';
import { redisOutbox } from './outbox-redis-harness.js';

outboxContract('Redis', ({ sessionIdleMs = 0 } = {}) => redisOutbox(testRedis().url, { sessionIdleMs }));

test('without an outbox the scripts tell nothing', async () => {
  const { connection, store, logins, publish, close } = await redisOutbox(testRedis().url, undefined);
  const session = requestsFor(`test:${randomUUID()}`);
  await sweepAll(store);
  const claimed = await store.claim(session.claim('c_1'));
  await store.hold([session.lease(claimed)], LONG_MS);
  await store.release(session.release(session.lease(claimed)));
  await publish(session.id);
  const login = await newLogin(logins);
  await logins.end(login.handle, 'revoked');
  const keys = await connection.commands.keys(`${connection.keys.prefix}:*`);
  expect(keys.filter((key) => /:(outbox|idle)/.test(key))).toEqual([]);
  await close();
});

test('the nodes that deliver are counted until they leave or are silent', async () => {
  const { outbox, other, close } = await redisOutbox(testRedis().url, { sessionIdleMs: 0 });
  expect(await outbox.join('first', LONG_MS)).toBe(1);
  expect(await other.join('second', 100)).toBe(2);
  expect(await other.join('third', LONG_MS)).toBe(3);
  await sleep(120);
  expect(await outbox.join('first', LONG_MS)).toBe(2);
  expect(await other.join('third', 0)).toBe(1);
  await close();
});

test('what was read and is lost from a full stream is forgotten; a dead letter says all', async () => {
  const { connection, outbox, close } = await redisOutbox(testRedis().url, { sessionIdleMs: 0 });
  const subject = `test:${randomUUID()}`;
  for (const n of [1, 2]) await outbox.add({ type: 'session.signal', subject, fields: { n } });
  const partitions = Array.from({ length: outbox.partitions }, (_, partition) => partition);
  const read = await Promise.all(
    partitions.map(async (partition) => {
      await outbox.acquire(partition, 'first', LONG_MS);
      return outbox.read(partition, 'first', 10, false);
    }),
  );
  const [lost, kept] = read.flat();
  if (lost === undefined || kept === undefined) throw new Error('nothing read');
  const partition = partitionOf(lost);
  const key = connection.keys.outbox(partition);
  await connection.commands.xtrim(key, 'MAXLEN', 1);
  expect(await outbox.read(partition, 'first', 10, false)).toEqual([kept]);
  await outbox.bury(partition, { ...kept, attempts: 20 }, 'status 500');
  expect(await connection.commands.xpending(key, 'webhooks')).toEqual([0, null, null, null]);
  const [[, letter]] = (await connection.commands.xrange(connection.keys.outboxDead(partition), '-', '+')) as [
    [string, string[]],
  ];
  const at = String(kept.atMs);
  expect(letter).toEqual(
    ['id', kept.id, 'type', 'session.signal', 'subject', subject, 'at', at, 'fields', '{"n":2}'].concat(
      ['attempts', '20'],
      ['reason', 'status 500'],
    ),
  );
  await close();
});

test('a full stream keeps the newest', async () => {
  const { connection, store, close } = await redisOutbox(testRedis().url, { sessionIdleMs: 0 });
  const session = requestsFor(`test:${randomUUID()}`);
  const key = connection.keys.outbox(partitionOfSession(session.id));
  const filling = connection.masters()[0]?.pipeline();
  for (let n = 0; n < 11_000; n += 1) filling?.xadd(key, '*', 'session', 'test:old');
  await filling?.exec();
  await sweepAll(store);
  await store.claim(session.claim('c_1'));
  expect(await connection.commands.xlen(key)).toBeLessThan(10_200);
  const [[, newest]] = (await connection.commands.xrevrange(key, '+', '-', 'COUNT', 1)) as [[string, string[]]];
  expect(newest).toContain(session.id);
  await close();
});

test('what cannot be read is a dead letter, and holds nothing up', async () => {
  const { connection, outbox, close } = await redisOutbox(testRedis().url, { sessionIdleMs: 0 });
  const key = connection.keys.outbox(0);
  await connection.commands.xadd(key, '*', 'session', 'test:1', 'ownership', 'o\t1');
  await connection.commands.xadd(key, '*', 'type', 'session.signal', 'subject', 'test:1', 'fields', '{');
  await connection.commands.xadd(key, '*', 'future', 'kind');
  const last = await connection.commands.xadd(key, '*', 'type', 'session.signal', 'subject', 'test:1', 'fields', '{}');
  await outbox.acquire(0, 'first', LONG_MS);
  expect((await outbox.read(0, 'first', 10, false)).map(({ id }) => id)).toEqual([`0-${last}`]);
  const letters = (await connection.commands.xrange(connection.keys.outboxDead(0), '-', '+')) as [string, string[]][];
  expect(letters.map(([, fields]) => fields.slice(2))).toEqual([
    ['reason', 'unreadable', 'session', 'test:1', 'ownership', 'o\t1'],
    ['reason', 'unreadable', 'type', 'session.signal', 'subject', 'test:1', 'fields', '{'],
    ['reason', 'unreadable', 'future', 'kind'],
  ]);
  await close();
});

test('a session that became idle before that was switched off is told once, and forgotten', async () => {
  const { connection, outbox, store, close } = await redisOutbox(testRedis().url, { sessionIdleMs: 0 });
  const subject = `test:${randomUUID()}`;
  await sweepAll(store);
  await connection.commands.zadd(connection.keys.idle(partitionOfSession(subject)), 1, subject);
  for (let sweep = 0; sweep < 3; sweep += 1) await sweepAll(store);
  expect((await waitingFor(outbox, subject)).map(({ type }) => type)).toEqual(['session.idle']);
  await close();
});
