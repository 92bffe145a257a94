import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { RedisLoginStore } from '../../src/store/redis/login-store.js';
import { RedisOneTimeStore } from '../../src/store/redis/one-time-store.js';
import { loginRequest, presented } from '../contract/login-harness.js';
import { type PrivateRedis, startPrivateRedis } from '../support/redis.js';
import { TcpProxy } from '../support/tcp-proxy.js';
import { type OpenStore, openStore } from './redis-store.js';

const TIMINGS = { reuseIntervalMs: 0, retentionMs: 60_000, maxAuditEvents: 10_000, maxLoginsPerPrincipal: 10 };

let redis: PrivateRedis;
let proxy: TcpProxy;
let open: OpenStore;
let logins: RedisLoginStore;

beforeAll(async () => {
  redis = await startPrivateRedis();
  proxy = await TcpProxy.start(redis.port);
});
beforeEach(async () => {
  open = await openStore(`redis://127.0.0.1:${proxy.port}`);
  logins = new RedisLoginStore(open.connection, TIMINGS);
});
afterEach(() => open.connection.close());
afterAll(async () => {
  await proxy.stop();
  await redis.stop();
});

/** Runs `work` such that its first reply is lost together with the connection. */
async function losingReply<T>(work: () => Promise<T>): Promise<T> {
  const dropped = proxy.dropOnce('replies');
  const [result] = await Promise.all([work(), dropped]);
  return result;
}

async function newLogin() {
  const request = loginRequest();
  await logins.create(request);
  const present = async (generation: number) =>
    (await logins.present(request.handle, presented(request, generation))).result;
  return { handle: request.handle, present };
}

/** Each script once: the loss of a NOSCRIPT would prove nothing. */
async function warmUp() {
  const { handle, present } = await newLogin();
  await present(1);
  await logins.end(handle, 'logout');
}

test('a rotation whose reply is lost is made once, and answered with the same successor', async () => {
  await warmUp();
  const { handle, present } = await newLogin();
  expect(await losingReply(() => present(1))).toBe('replayed');
  expect((await logins.read(handle))?.generation).toBe(2);
  expect(await present(2)).toBe('rotated');
});

test('what ended a login says so, also when the reply is lost', async () => {
  await warmUp();
  const { handle } = await newLogin();
  expect(await losingReply(() => logins.end(handle, 'revoked'))).toMatchObject({ ended: true });
  expect(await logins.end(handle, 'revoked')).toMatchObject({ ended: false });
  const replayed = await newLogin();
  for (const generation of [1, 2, 3]) await replayed.present(generation);
  expect(await losingReply(() => replayed.present(1))).toBe('reused');
  expect(await replayed.present(1)).toBe('ended');
  expect(open.commands.filter((command) => command.endsWith('unknown'))).toHaveLength(2);
});

test('a value whose reply is lost is unavailable, not unknown', async () => {
  const oneTime = new RedisOneTimeStore(open.connection);
  await oneTime.put('ticket', 'hash', 'value', 60_000);
  await expect(losingReply(() => oneTime.take('ticket', 'hash'))).rejects.toMatchObject({ code: 'store_unavailable' });
  expect(await oneTime.take('ticket', 'hash')).toBeUndefined();
});

test('everything about logins that Redis keeps ends, but for the ids that the application chose', async () => {
  const request = loginRequest({ chosen: true });
  await logins.create(request);
  await logins.noteOwned(request.handle, { sessionId: 'chat:1', connectionId: 'c_1', epoch: 1 });
  const { keys, commands } = open.connection;
  const ttl = (key: string) => commands.pttl(key);
  const { handle, principalHandle, maxMs } = request;
  const longestMs = maxMs + TIMINGS.retentionMs;
  for (const key of [keys.login(handle), keys.loginOwned(handle), keys.principalLogins(principalHandle)]) {
    expect(await ttl(key)).toBeGreaterThan(maxMs - 10_000);
    expect(await ttl(key)).toBeLessThanOrEqual(longestMs);
  }
  await logins.end(handle, 'logout');
  for (const key of [keys.login(handle), keys.loginOwned(handle)]) {
    expect(await ttl(key)).toBeGreaterThan(0);
    expect(await ttl(key)).toBeLessThanOrEqual(TIMINGS.retentionMs);
  }
  expect(await ttl(keys.loginTaken(handle))).toBe(-1);
});

test('fails within two seconds while Redis is gone', async () => {
  const { handle } = await newLogin();
  await redis.kill();
  const startMs = performance.now();
  await expect(logins.read(handle)).rejects.toMatchObject({ code: 'store_unavailable' });
  expect(performance.now() - startMs).toBeLessThan(2_000);
  await redis.restart();
});
