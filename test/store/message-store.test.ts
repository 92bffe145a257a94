import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import type { AppendRequest } from '../../src/session/message-ports.js';
import { standing } from '../../src/session/position.js';
import { RedisMessageStore } from '../../src/store/redis/message-store.js';
import { AMPLE, filler, item, resultsOf, textsOf } from '../contract/message-harness.js';
import { messageItem } from '../support/message-item.js';
import { type PrivateRedis, startPrivateRedis } from '../support/redis.js';
import { TcpProxy } from '../support/tcp-proxy.js';
import { claimOf, type OpenStore, openStore } from './redis-store.js';

let redis: PrivateRedis;
let proxy: TcpProxy;
let open: OpenStore;
let store: RedisMessageStore;
let server: Redis;

beforeAll(async () => {
  redis = await startPrivateRedis();
  proxy = await TcpProxy.start(redis.port);
});
beforeEach(async () => {
  await connect(`redis://127.0.0.1:${proxy.port}`);
});
afterEach(() => open.connection.close());
afterAll(async () => {
  await proxy.stop();
  await redis.stop();
});

async function connect(url: string): Promise<void> {
  open = await openStore(url);
  store = messagesOf(open);
  server = open.connection.masters()[0] as Redis;
}

function messagesOf({ connection }: OpenStore): RedisMessageStore {
  return new RedisMessageStore(connection, connection.telemetry);
}

let sequence = 0;

function request(sessionId: string, items: AppendRequest['items'], extra: Partial<AppendRequest> = {}): AppendRequest {
  sequence += 1;
  return { sessionId, writerId: 'writer-1', sequence, retention: AMPLE, items, ...extra };
}

const stateOf = async (sessionId: string) => (await store.read(sessionId, { after: 0 }, 1)).state;
const textsIn = async (sessionId: string) => textsOf((await store.read(sessionId, { after: 0 }, 1_000)).entries);

/** Waits until commands get through again. */
const backAgain = () => expect.poll(() => server.ping().catch(String), { timeout: 5_000 }).toBe('PONG');

/** Runs `work` such that its first reply is lost together with the connection. */
async function losingReply<T>(work: () => Promise<T>): Promise<T> {
  const dropped = proxy.dropOnce('replies');
  const [result] = await Promise.all([work(), dropped]);
  return result;
}

test('an append whose reply is lost is made once, and answered as it would have been', async () => {
  await store.append(request('chat:1', [item('warm')]));
  const items = [item('a'), item('b', { expectedOffset: 2 }), item('c', { expectedOffset: 9 })];
  const outcome = await losingReply(() => store.append(request('chat:1', items)));
  expect(resultsOf(outcome)).toEqual(['accepted 2', 'accepted 3', 'offset_conflict']);
  expect(open.commands.filter((command) => command.endsWith('unknown'))).toEqual(['append unknown']);
  expect(await textsIn('chat:1')).toEqual(['1 warm', '2 a', '3 b']);
});

test('a repeated append is one message also when the owner changed in between', async () => {
  const first = claimOf('chat:2');
  const { view } = await open.store.claim(first);
  const owner = { connectionId: first.connectionId, epoch: view.epoch };
  const sent = request('chat:2', [item('a', { owner })]);
  const outcome = await store.append(sent);
  const release = { requestId: randomUUID(), reason: 'released', policy: 'next_subscriber' } as const;
  await open.store.release({ sessionId: 'chat:2', ...owner, ...release, staysWatching: false });
  await open.store.claim(claimOf('chat:2'));
  expect(await store.append(sent)).toEqual(outcome);
  expect(resultsOf(await store.append(request('chat:2', [item('b', { owner })])))).toEqual(['not_owner']);
  expect(await textsIn('chat:2')).toEqual(['1 a']);
});

test('an append whose reply is lost is one message, at its first offset, also when the owner changes meanwhile', async () => {
  const direct = await openStore(redis.url, open.connection.keys.prefix);
  const claimed = await open.store.claim(claimOf('chat:15'));
  const { connectionId, epoch } = claimed.view;
  const owner = { connectionId, epoch };
  await store.append(request('chat:15', [item('warm')]));
  const sent = request('chat:15', [item('a', { owner })]);
  // Whoever asks again waits until the session has its next owner.
  const dropped = proxy.dropOnce('replies').then(() => proxy.pause());
  const appended = store.append(sent);
  await dropped;
  const change = { lockValue: '', expectedEpoch: epoch, reason: 'forced', target: claimOf('chat:15') } as const;
  const moved = direct.store.transfer({ sessionId: 'chat:15', requestId: randomUUID(), ...change });
  const { result } = await moved.finally(() => proxy.resume());
  await direct.connection.close();
  expect(result).toBe('done');
  const outcome = await appended;
  expect(resultsOf(outcome)).toEqual(['accepted 2']);
  expect(open.commands).toContain('append unknown');
  expect(await store.append(sent)).toEqual(outcome);
  expect(resultsOf(await store.append(request('chat:15', [item('b', { owner })])))).toEqual(['not_owner']);
  expect(await textsIn('chat:15')).toEqual(['1 warm', '2 a']);
});

test('messages published through the store and what it reads go over the wire as the bytes that they are', async () => {
  const tail = `,"data":"ü🦔\u0000\t${'x'.repeat(70_000)}"}`;
  await store.append(request('chat:3', [messageItem(tail)]));
  const { entries } = await store.read('chat:3', { after: 0 }, 10);
  expect(entries.map((entry) => entry.tail.toString())).toEqual([tail]);
});

test('a restart without persistence begins another epoch, at offset 1, in which no earlier position stands', async () => {
  await store.append(request('chat:4', [item('a'), item('b')]));
  const before = await stateOf('chat:4');
  await redis.restart();
  await backAgain();
  expect(await stateOf('chat:4')).toMatchObject({ epoch: '', top: 0 });
  expect(resultsOf(await store.append(request('chat:4', [item('c')])))).toEqual(['accepted 1']);
  const after = await stateOf('chat:4');
  expect(Number(after.epoch)).toBeGreaterThan(Number(before.epoch));
  expect(after).toMatchObject({ top: 1, first: 1, forks: [] });
  expect(standing(after, { epoch: before.epoch, offset: 1 })).toBe('lost');
});

test('a restart from the append-only file goes on with the offsets in another epoch, and positions before it stand', async () => {
  await open.connection.close();
  const durable = await startPrivateRedis({ args: ['--appendonly', 'yes', '--appendfsync', 'always'] });
  await connect(durable.url);
  try {
    const forks = [];
    for (let offset = 1; offset <= 10; offset += 1) {
      const sent = request('chat:5', [item(`m${offset}`)]);
      const { epoch, top } = await store.append(sent);
      expect(top).toBe(offset);
      await durable.restart();
      await backAgain();
      expect(await stateOf('chat:5')).toMatchObject({ epoch, top: offset });
      expect(await store.append(sent)).toMatchObject({ epoch, top: offset });
      forks.unshift({ epoch, offset });
    }
    const { epoch } = await store.append(request('chat:5', [item('last')]));
    const state = await stateOf('chat:5');
    expect(state).toEqual({ epoch, top: 11, first: 1, forks: forks.slice(0, 8) });
    expect(new Set([epoch, ...forks.map((fork) => fork.epoch)]).size).toBe(11);
    const [fork = { epoch: '', offset: 0 }] = forks;
    expect(standing(state, fork)).toBe('recoverable');
    expect(standing(state, { ...fork, offset: fork.offset + 1 })).toBe('lost');
    expect(await textsIn('chat:5')).toEqual([
      ...forks.map(({ offset }) => `${offset} m${offset}`).reverse(),
      '11 last',
    ]);
  } finally {
    await durable.stop();
  }
});

test('refused messages begin no epoch', async () => {
  const { epoch } = await store.append(request('chat:6', [item('a')]));
  await server.hset(open.connection.keys.position('chat:6'), 'run', 'another');
  expect(await store.append(request('chat:6', [item('b', { expectedOffset: 7 })]))).toMatchObject({ epoch, top: 1 });
  expect((await store.append(request('chat:6', [item('b')]))).epoch).not.toBe(epoch);
});

test('every key of a session ends by itself', async () => {
  const { keys } = open.connection;
  const idempotency = { hash: 'a'.repeat(22), fingerprint: 'b'.repeat(11) };
  const retention = { ...AMPLE, maxAgeMs: 60_000 };
  await store.append(request('chat:7:refused', [item('a', { expectedOffset: 7 })], { retention }));
  await open.store.read('chat:7');
  await store.states(['chat:7:states']);
  const dayMs = 86_400_000;
  for (const created of ['chat:7', 'chat:7:refused', 'chat:7:states']) {
    expect(await server.pttl(keys.position(created))).toBeGreaterThan(dayMs - 5_000);
  }
  for (let i = 0; i < 3; i += 1) await store.append(request('chat:7', [item('a')], { retention }));
  await store.append(request('chat:7', [item('b', { idempotency })], { retention }));
  const between = async (key: string, least: number, most: number) => {
    const ttl = await server.pttl(key);
    expect(ttl).toBeGreaterThan(least - 5_000);
    expect(ttl).toBeLessThanOrEqual(most);
  };
  await between(keys.log('chat:7'), 60_000, 63_750);
  await between(keys.position('chat:7'), dayMs + 60_000, dayMs + 63_750);
  await between(keys.sent('chat:7', idempotency.hash), 300_000, 300_000);
  await store.truncate('chat:7', 100);
  await store.append(request('chat:7', [item('c')], { retention }));
  await between(keys.log('chat:7'), 60_000, 63_750);
  const names = await server.keys(`${keys.prefix}:*`);
  const endless = [];
  for (const name of names) if ((await server.pttl(name)) === -1) endless.push(name);
  expect(names.length).toBeGreaterThanOrEqual(5);
  expect(endless).toEqual([]);
  await store.remove('chat:7');
  expect(await server.exists(keys.log('chat:7'), keys.position('chat:7'))).toBe(0);
});

test('a position that is near its end is kept by asking for it, one that is not is left alone', async () => {
  const key = open.connection.keys.position('chat:8');
  await store.append(request('chat:8', [item('a')]));
  await server.pexpire(key, 60_000_000);
  await store.states(['chat:8']);
  expect(await server.pttl(key)).toBeLessThanOrEqual(60_000_000);
  await server.pexpire(key, 40_000_000);
  await store.states(['chat:8']);
  expect(await server.pttl(key)).toBeGreaterThan(86_000_000);
});

test('an idle history goes, with its key, when its age is over; its offsets go on', async () => {
  const retention = { ...AMPLE, maxAgeMs: 100 };
  const { epoch } = await store.append(request('chat:9', [item('a'), item('b')], { retention }));
  await expect.poll(() => server.exists(open.connection.keys.log('chat:9'))).toBe(0);
  expect(await stateOf('chat:9')).toMatchObject({ epoch, top: 2, first: 3 });
  expect(await store.append(request('chat:9', [item('c')], { retention }))).toMatchObject({ epoch, top: 3 });
  expect(await textsIn('chat:9')).toEqual(['3 c']);
});

test('messages whose position was lost are lost with it', async () => {
  const { epoch } = await store.append(request('chat:14', [item('a'), item('b')]));
  await server.del(open.connection.keys.position('chat:14'));
  expect(await textsIn('chat:14')).toEqual([]);
  const after = await store.append(request('chat:14', [item('c')]));
  expect(after.top).toBe(1);
  expect(Number(after.epoch)).toBeGreaterThan(Number(epoch));
  expect(await textsIn('chat:14')).toEqual(['1 c']);
});

test('messages go when they are too old, and no sooner, while others come', async () => {
  const retention = { ...AMPLE, maxAgeMs: 400 };
  const times = new Map<number, number>();
  let first = 1;
  for (let top = 1; first === 1; top += 1) {
    await store.append(request('chat:10', [item('a')], { retention }));
    const { entries, state } = await store.read('chat:10', { after: 0 }, 1_000);
    for (const { offset, atMs } of entries) times.set(offset, atMs);
    first = state.first;
    for (let gone = 1; gone < first; gone += 1) {
      expect((times.get(top) ?? 0) - (times.get(gone) ?? 0)).toBeGreaterThanOrEqual(retention.maxAgeMs);
    }
    await sleep(60);
  }
  expect(times.size).toBeGreaterThan(1);
});

test('ten thousand appends leave what the bounds of count and bytes allow', async () => {
  const bounds = { ...AMPLE, maxCount: 500, maxBytes: 40_000 };
  const key = open.connection.keys.log('chat:11');
  const sizes = [20, 60, 100, 200];
  let kept = 0;
  for (let i = 0; i < 10_000; i += 125) {
    const items = Array.from({ length: 125 }, () => filler(sizes[Math.floor(i / 2_500)] ?? 0));
    const { top } = await store.append(request('chat:11', items, { retention: bounds }));
    expect(top).toBe(i + 125);
    const { entries, state } = await store.read('chat:11', { after: 0 }, 1_000);
    kept = entries.reduce((sum, { tail }) => sum + tail.length, 0);
    expect(kept).toBeLessThanOrEqual(bounds.maxBytes);
    expect(entries.length).toBeLessThanOrEqual(bounds.maxCount);
    expect(await server.xlen(key)).toBe(entries.length);
    expect(entries.map(({ offset }) => offset)).toEqual(entries.map((_, n) => state.first + n));
    expect(await server.hget(open.connection.keys.position('chat:11'), 'bytes')).toBe(`${kept}`);
  }
  // Not less than the part that is dropped at once.
  expect(kept).toBeGreaterThan(bounds.maxBytes * 0.9 - 200);
  expect(await server.memory('USAGE', key)).toBeLessThan(2 * bounds.maxBytes);
});

test('writers that are gone are forgotten', async () => {
  const key = open.connection.keys.position('chat:12');
  const writers = Array.from({ length: 40 }, (_, i) => `writer-${i}`);
  for (const writerId of writers) await store.append(request('chat:12', [item('a')], { writerId }));
  const fields = async () => (await server.hkeys(key)).filter((name) => name.startsWith('w:')).length;
  expect(await fields()).toBe(40);
  const old = Date.now() - 61_000;
  for (const writerId of writers.slice(0, 30)) {
    const answer = (await server.hget(key, `w:${writerId}`)) ?? '';
    await server.hset(key, `w:${writerId}`, answer.replace(/\t\d+\t/, `\t${old}\t`));
  }
  await store.append(request('chat:12', [item('b')], { writerId: 'writer-new' }));
  expect(await fields()).toBe(11);
});

test('a long history is read in parts of about 256 KiB', async () => {
  for (let i = 0; i < 10; i += 1) await store.append(request('chat:13', [filler(60_000)]));
  const forward = await store.read('chat:13', { after: 2 }, 1_000);
  expect(forward.entries.map(({ offset }) => offset)).toEqual([3, 4, 5, 6, 7]);
  const backward = await store.read('chat:13', { before: 9 }, 1_000);
  expect(backward.entries.map(({ offset }) => offset)).toEqual([4, 5, 6, 7, 8]);
});

test('where a part of the store is away the states of the rest are told', async () => {
  await store.append(request('a', [item('a')]));
  await server.set(open.connection.keys.position('b'), 'not a hash');
  const [first, second] = await store.states(['a', 'b']);
  expect(first).toMatchObject({ top: 1 });
  expect(second).toBeUndefined();
  await expect(store.states(['b'])).rejects.toMatchObject({ code: 'store_unavailable' });
});
