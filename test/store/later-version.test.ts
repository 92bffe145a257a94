/** What a later version may add to records and entries changes nothing for this one, and is not lost by it. */
import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { NodeReport } from '../../src/ops/ports.js';
import { RedisControlLog } from '../../src/store/redis/control-log.js';
import { RedisLoginStore } from '../../src/store/redis/login-store.js';
import { RedisMessageStore } from '../../src/store/redis/message-store.js';
import { RedisNodeRegistry } from '../../src/store/redis/node-registry.js';
import { loginRequest, presented } from '../contract/login-harness.js';
import { messageItem } from '../support/message-item.js';
import { testRedis } from '../support/redis.js';
import { quietStore } from '../support/silent.js';
import { claimOf, type OpenStore, openStore } from './redis-store.js';

let open: OpenStore;

beforeEach(async () => {
  const { url, prefix } = testRedis();
  open = await openStore(url, prefix);
});
afterEach(() => open.connection.close());

const addField = (key: string) => open.connection.commands.hset(key, 'later', 'kept');
const laterField = (key: string) => open.connection.commands.hget(key, 'later');

test('an ownership record keeps a field of a later version while the session is not free', async () => {
  const key = open.connection.keys.owner('chat:1');
  const { mode: _, ...request } = claimOf('chat:1');
  const { view } = await open.store.claim({ ...request, mode: 'subscribe' });
  await addField(key);
  const lease = { sessionId: 'chat:1', connectionId: request.connectionId, epoch: view.epoch };
  expect(await open.store.renew([lease], 60_000)).toEqual(['renewed']);
  expect(await open.store.hold([lease], 60_000)).toEqual([true]);
  const again = { ...request, requestId: randomUUID(), presentedTokenHash: request.tokenHash, claimIfExpired: false };
  const { result, view: reclaimed } = await open.store.reclaim(again);
  expect([result, await laterField(key)]).toEqual(['owned', 'kept']);

  const reason = 'released' as const;
  const release = { sessionId: 'chat:1', requestId: randomUUID(), connectionId: request.connectionId, reason };
  const rest = { epoch: reclaimed.epoch, policy: 'next_subscriber' as const, staysWatching: false };
  expect(await open.store.release({ ...release, ...rest })).toBe(true);
  expect(await laterField(key)).toBeNull();
});

test('a login’s record keeps one over a rotation and its end', async () => {
  const timings = { reuseIntervalMs: 0, retentionMs: 60_000, maxAuditEvents: 10_000, maxLoginsPerPrincipal: 10 };
  const logins = new RedisLoginStore(open.connection, timings);
  const request = loginRequest();
  await logins.create(request);
  const key = open.connection.keys.login(request.handle);
  await addField(key);
  expect((await logins.present(request.handle, presented(request, 1))).result).toBe('rotated');
  expect((await logins.end(request.handle, 'logout')).ended).toBe(true);
  expect(await laterField(key)).toBe('kept');
});

test('a session’s position keeps one, and entries of its log may have more fields', async () => {
  const { commands, keys } = open.connection;
  const messages = new RedisMessageStore(open.connection, quietStore);
  const retention = { maxCount: 10, maxBytes: 1_000, maxAgeMs: 60_000, whenFull: 'drop_oldest' } as const;
  const append = (sequence: number) => {
    const items = [messageItem(`,"data":${sequence}}`)];
    return messages.append({ sessionId: 'chat:1', writerId: 'writer', sequence, retention, items });
  };
  await append(1);
  await addField(keys.position('chat:1'));
  await commands.hset(keys.position('chat:1'), 'top', 2);
  await commands.xadd(keys.log('chat:1'), '2-0', 'a', '1', 'm', ',"data":2}', 'later', 'field');
  await append(3);
  const { entries } = await messages.read('chat:1', { after: 0 }, 10);
  expect(entries.map(({ offset, tail }) => `${offset}${String(tail)}`)).toEqual(
    [1, 2, 3].map((n) => `${n},"data":${n}}`),
  );
  expect(await laterField(keys.position('chat:1'))).toBe('kept');
});

test('an entry of the control log that this version cannot read holds nothing up', async () => {
  const { commands, keys } = open.connection;
  const control = new RedisControlLog(open.connection);
  const start = await control.end();
  const ended = (handle: string) => ({ kind: 'login_ended' as const, handle, reason: 'revoked' as const });
  await control.append(ended('before'));
  await commands.xadd(keys.control, '*', 'bulk', '…');
  await commands.xadd(keys.control, '*', 'notice', 'gzip:…');
  await commands.xadd(keys.control, '*', 'notice', 'null');
  await commands.xadd(keys.control, '*', 'notice', JSON.stringify({ ...ended('between'), later: 1 }), 'more', '1');
  await control.append(ended('behind'));
  const { notices, position } = await control.read(start);
  expect(notices).toEqual([ended('before'), { ...ended('between'), later: 1 }, ended('behind')]);
  expect(position).toBe(await control.end());
});

test('a node of a later version is listed with whatever it says of itself', async () => {
  const nodes = new RedisNodeRegistry(open.connection);
  const report = {
    nodeId: 'n1',
    bootId: 'b1',
    version: '9.0.0',
    state: 'resting',
    connections: 1,
    leases: 1,
    later: 1,
  };
  await nodes.beat({ ...report, configFingerprint: 'f' } as unknown as NodeReport);
  expect(await nodes.list()).toMatchObject([report]);
});
