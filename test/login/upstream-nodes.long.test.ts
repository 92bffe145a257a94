import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import type { LoginStore, UpstreamGrants } from '../../src/login/ports.js';
import type { Upstream } from '../../src/login/upstream.js';
import { connectRedis, type RedisConnection } from '../../src/store/redis/client.js';
import { RedisLock, UPSTREAM } from '../../src/store/redis/lock.js';
import { RedisLoginStore } from '../../src/store/redis/login-store.js';
import { RedisUpstreamGrants } from '../../src/store/redis/upstream-grants.js';
import { createLogin } from '../support/create-login.js';
import { type PrivateRedis, startPrivateRedis } from '../support/redis.js';
import { quietStore, silent } from '../support/silent.js';
import { StrictProvider } from '../support/strict-provider.js';
import { KeptLog, providerAt, TIMINGS, upstreamOf } from './upstream-harness.js';

const NODES = 3;

let redis: PrivateRedis;
let connections: RedisConnection[];
let logins: LoginStore;
let idp: StrictProvider;
let log: KeptLog;

beforeAll(async () => {
  redis = await startPrivateRedis();
  const options = { prefix: `hft-${randomUUID().slice(0, 8)}`, log: silent, telemetry: quietStore };
  connections = await Promise.all(Array.from({ length: NODES }, () => connectRedis(redis.url, options)));
  logins = new RedisLoginStore(first(), TIMINGS);
});
afterAll(async () => {
  await Promise.all(connections.map((connection) => connection.close()));
  await redis.stop();
});
beforeEach(async () => {
  idp = await StrictProvider.start();
  log = new KeptLog();
});
afterEach(() => idp.stop());

function first(): RedisConnection {
  const [connection] = connections;
  if (connection === undefined) throw new Error('there is no connection');
  return connection;
}

const grantsOf = (connection: RedisConnection) => new RedisUpstreamGrants(connection, TIMINGS);

function nodeOn(connection: RedisConnection, grants: UpstreamGrants = grantsOf(connection)): Upstream {
  const providers = { default: providerAt(idp.tokenUrl, { timeoutMs: 1_000 }) };
  return upstreamOf({ grants, lock: new RedisLock(connection, UPSTREAM), providers, log });
}

const allNodes = () => connections.map((connection) => nodeOn(connection));

async function granted(upstream: Upstream): Promise<{ handle: string; refreshToken: string }> {
  const handle = await createLogin(logins);
  const refreshToken = idp.issue();
  await upstream.put(handle, { refresh_token: refreshToken });
  return { handle, refreshToken };
}

function intercepted(grants: UpstreamGrants, methods: Partial<UpstreamGrants>): UpstreamGrants {
  return {
    put: (...args) => grants.put(...args),
    read: (...args) => grants.read(...args),
    begin: (...args) => grants.begin(...args),
    commit: (...args) => grants.commit(...args),
    fail: (...args) => grants.fail(...args),
    ...methods,
  };
}

/** One that stops, as if it were killed, when the method is called: the call never ends and changes nothing. */
function stoppingAt(
  method: 'commit' | 'fail',
  grants: UpstreamGrants,
): { grants: UpstreamGrants; stopped: Promise<void> } {
  let stop = (): void => {};
  const stopped = new Promise<void>((resolve) => {
    stop = resolve;
  });
  const call = (): Promise<boolean> => {
    stop();
    return new Promise(() => {});
  };
  return { grants: intercepted(grants, { [method]: call }), stopped };
}

const lockKeys = () => first().commands.keys(`${first().keys.prefix}:*:lock`);

test('50 parallel calls on three nodes send one request', async () => {
  idp.delayMs = 100;
  const nodes = allNodes();
  const { handle, refreshToken } = await granted(nodes[0] as Upstream);
  const tokens = await Promise.all(Array.from({ length: 50 }, (_, i) => (nodes[i % NODES] as Upstream).token(handle)));
  expect(new Set(tokens.map(({ access_token }) => access_token)).size).toBe(1);
  expect(idp.requests).toHaveLength(1);
  expect(idp.grantOf(refreshToken)).toMatchObject({ rotations: 1, revoked: false });
  expect(await lockKeys()).toEqual([]);
});

test('20 page loads with doubled effects and a retrying client, on any node, never need a new login', async () => {
  const nodes = connections.map((connection) => {
    const providers = { default: providerAt(idp.tokenUrl, { freshMs: 100 }) };
    return upstreamOf({ grants: grantsOf(connection), lock: new RedisLock(connection, UPSTREAM), providers, log });
  });
  const { handle, refreshToken } = await granted(nodes[0] as Upstream);
  for (let load = 0; load < 20; load += 1) {
    const before = idp.requests.length;
    const effects = [0, 1, 2].map((i) => (nodes[(load + i) % NODES] as Upstream).token(handle));
    await Promise.all(effects);
    expect(idp.requests.length - before).toBeLessThanOrEqual(1);
    await sleep(load % 3 === 0 ? 120 : 10);
  }
  expect(idp.requests.length).toBeGreaterThan(3);
  expect(idp.mostInFlight).toBe(1);
  expect(idp.grantOf(refreshToken).revoked).toBe(false);
});

test('a node that stops while the provider answers is followed by exactly one repetition', async () => {
  const [, second, third] = allNodes() as [Upstream, Upstream, Upstream];
  const { grants, stopped } = stoppingAt('fail', grantsOf(first()));
  const dying = upstreamOf({
    grants,
    // Of another process, whose lock is extended no more.
    lock: { withLock: async (_handle, _waitMs, work) => work() },
    providers: { default: providerAt(idp.tokenUrl, { timeoutMs: 1_000 }) },
    log,
  });
  const { handle, refreshToken } = await granted(second);
  idp.faults.push((response) => {
    response.writeHead(400, { 'content-type': 'application/json' }).end('{"error":"temporarily_unavailable"}');
  });
  void dying.token(handle);
  await stopped;
  const startMs = performance.now();
  const tokens = await Promise.all(Array.from({ length: 20 }, (_, i) => (i % 2 ? second : third).token(handle)));
  expect(performance.now() - startMs).toBeGreaterThan(1_000);
  expect(new Set(tokens.map(({ access_token }) => access_token)).size).toBe(1);
  expect(idp.requests).toHaveLength(2);
  expect(idp.grantOf(refreshToken)).toMatchObject({ rotations: 1, revoked: false });
});

test('a node that stops with the answer in its hands costs one repetition, then a new grant is asked for', async () => {
  const [, second, third] = allNodes() as [Upstream, Upstream, Upstream];
  const { grants, stopped } = stoppingAt('commit', grantsOf(first()));
  const { handle } = await granted(second);
  void nodeOn(first(), grants).token(handle);
  await stopped;
  // What was killed extends no lock; this one would.
  const early = second.token(handle);
  await first().commands.unlink(first().keys.upstreamLock(handle));
  await expect(early).rejects.toMatchObject({ code: 'upstream_reauth_required' });
  await expect(third.token(handle)).rejects.toMatchObject({ code: 'upstream_reauth_required' });
  expect(idp.requests).toHaveLength(2);
  expect((await logins.read(handle))?.state).toBe('active');
});

test('without any lock, of nodes that found the same grant one sends', async () => {
  idp.delayMs = 100;
  const providers = { default: providerAt(idp.tokenUrl, { timeoutMs: 1_000 }) };
  const lock = { withLock: async <T>(_handle: string, _waitMs: number, work: () => Promise<T>) => work() };
  let reading = NODES;
  let meet = (): void => {};
  const met = new Promise<void>((resolve) => {
    meet = resolve;
  });
  const nodes = connections.map((connection) => {
    const grants = grantsOf(connection);
    const begin: UpstreamGrants['begin'] = async (handle, found) => {
      reading -= 1;
      if (reading === 0) meet();
      await met;
      return grants.begin(handle, found);
    };
    return upstreamOf({ grants: intercepted(grants, { begin }), lock, providers, log });
  });
  const { handle, refreshToken } = await granted(nodes[0] as Upstream);
  const tokens = await Promise.all(nodes.map((node) => node.token(handle)));
  expect(new Set(tokens.map(({ access_token }) => access_token)).size).toBe(1);
  expect(idp.requests).toHaveLength(1);
  expect(idp.grantOf(refreshToken).revoked).toBe(false);
});

test('a grant that another holds for ever is waited for in bounds, and keeps no other waiting', async () => {
  const [here, second] = connections as [RedisConnection, RedisConnection];
  const providers = { default: providerAt(idp.tokenUrl, { timeoutMs: 100 }) };
  const lock = new RedisLock(second, UPSTREAM);
  const upstream = upstreamOf({ grants: grantsOf(here), lock: new RedisLock(here, UPSTREAM), providers, log });
  const [held, free] = [await granted(upstream), await granted(upstream)];
  let release = (): void => {};
  const holding = lock.withLock(held.handle, 0, () => new Promise<void>((resolve) => (release = resolve)));
  await sleep(50);
  const startMs = performance.now();
  const waiting = upstream.token(held.handle);
  await upstream.token(free.handle);
  expect(performance.now() - startMs).toBeLessThan(1_000);
  await expect(waiting).rejects.toMatchObject({ code: 'upstream_busy', status: 503 });
  expect(performance.now() - startMs).toBeLessThan(5_000);
  release();
  await holding;
  await upstream.token(held.handle);
});

test('2,000 grants leave no lock behind, and no key that outlives its login', async () => {
  idp.delayMs = 0;
  const nodes = allNodes();
  const one = async (i: number) => {
    const { handle } = await granted(nodes[i % NODES] as Upstream);
    await (nodes[(i + 1) % NODES] as Upstream).token(handle);
    return handle;
  };
  const handles: string[] = [];
  for (let i = 0; i < 2_000; i += 50)
    handles.push(...(await Promise.all(Array.from({ length: 50 }, (_, j) => one(i + j)))));
  expect(idp.requests).toHaveLength(2_000);
  expect(await lockKeys()).toEqual([]);
  const { commands, keys } = first();
  for (const handle of handles.slice(0, 20)) {
    expect(await commands.pexpiretime(keys.upstream(handle))).toBe(await commands.pexpiretime(keys.login(handle)));
    await logins.end(handle, 'logout');
    expect(await commands.exists(keys.upstream(handle))).toBe(0);
  }
}, 60_000);

test('what Redis holds tells no token', async () => {
  const upstream = nodeOn(first());
  const { handle, refreshToken } = await granted(upstream);
  const { access_token } = await upstream.token(handle);
  const { commands, keys } = first();
  const events = await commands.xrange(keys.audit(handle), '-', '+');
  const held = JSON.stringify([await commands.hgetall(keys.upstream(handle)), events]);
  expect(held).toContain('grant_refreshed');
  for (const secret of [refreshToken, access_token, idp.grantOf(refreshToken).current])
    expect(held).not.toContain(secret);
});

test('an answer that Redis cannot take is served from memory and stored when Redis is back', async () => {
  idp.delayMs = 200;
  const [upstream, other] = allNodes() as [Upstream, Upstream, Upstream];
  const { handle, refreshToken } = await granted(upstream);
  const asking = upstream.token(handle);
  await sleep(100);
  redis.pause();
  try {
    const token = await asking;
    expect(await upstream.token(handle)).toEqual(token);
    expect(log.of('warn')).toContain('upstream answer not stored yet');
    await sleep(500);
    redis.resume();
    await upstream.close();
    expect(log.of('info')).toContain('upstream answer stored late');
    expect(await other.token(handle)).toEqual(token);
  } finally {
    redis.resume();
  }
  expect(idp.requests).toHaveLength(1);
  expect(idp.grantOf(refreshToken)).toMatchObject({ rotations: 1, revoked: false });
});

test('without Redis the answer is 503, and nothing is sent', async () => {
  const upstream = nodeOn(first());
  const { handle } = await granted(upstream);
  redis.pause();
  try {
    await expect(upstream.token(handle)).rejects.toMatchObject({ code: 'store_unavailable', status: 503 });
  } finally {
    redis.resume();
  }
  expect(idp.requests).toHaveLength(0);
});
