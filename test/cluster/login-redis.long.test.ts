import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { describe, expect, test } from 'vitest';
import { loginHandle } from '../../src/login/handles.js';
import type { CreatedLogin } from '../../src/protocol/http.js';
import { backend, call, createLogin, eventKinds, me, refresh, ticketFor } from '../support/login-calls.js';
import type { RawClient } from '../support/raw-client.js';
import { redisCall } from '../support/redis-process.js';
import { useCluster } from './use-cluster.js';

const REUSE_INTERVAL_MS = 300;
const IDLE_MS = 8_000;
/** How often a node touches a login at most: a quarter of its idle expiry where that is less than a minute. */
const TOUCH_MS = IDLE_MS / 4;
const ARGS = [
  ['--auth', 'login'],
  ['--reuse-interval-ms', `${REUSE_INTERVAL_MS}`],
  ['--login-idle-ms', `${IDLE_MS}`],
  ['--access-token-ttl-ms', `${IDLE_MS / 2}`],
  ['--renewal-margin-ms', `${IDLE_MS / 4}`],
].flat();

describe('a Redis that restarts without its data', () => {
  const cluster = useCluster({ nodes: 2, args: ARGS });

  test('its logins are gone: 401 that says so, connections close at their renewal, and new logins work', async () => {
    const login = await createLogin(cluster().node(0));
    const client = await cluster().connect(0, { ticket: await ticketFor(cluster().node(1), login.access_token) });
    const ticket = await ticketFor(cluster().node(0), login.access_token);
    await cluster().redis.restart();
    await cluster().heal();

    const codeOf = async (answer: Promise<{ status: number; body: { code?: string } }>) => {
      const { status, body } = await answer;
      return `${status} ${body.code}`;
    };
    const [node, other] = [cluster().node(0), cluster().node(1)];
    expect(await codeOf(refresh(node, login.refresh_token))).toBe('401 invalid_refresh_token');
    expect(await codeOf(me(other, login.refresh_token))).toBe('401 invalid_refresh_token');
    expect(await codeOf(me(other, login.access_token))).toBe('401 login_ended');
    expect(await codeOf(call(node, '/v1/auth/ticket', { token: login.access_token }))).toBe('401 login_ended');
    expect(await codeOf(backend(node, `/v1/logins/${login.login_id}`, { method: 'GET' }))).toBe('404 not_found');
    await expect(cluster().connect(1, { ticket })).rejects.toThrow('4202');
    await expect(cluster().connect(1, { token: login.access_token })).rejects.toThrow('4002');

    client.send({ type: 'renew_login', id: 'late' });
    expect((await client.whenClosed).code).toBe(4002);
    const fresh = await createLogin(other);
    const back = await cluster().connect(0, { ticket: await ticketFor(other, fresh.access_token) });
    await backend(other, `/v1/logins/${fresh.login_id}`, { method: 'DELETE' });
    expect((await back.whenClosed).code).toBe(4001);
  });
});

describe('logins over three nodes and a Redis that keeps its data', () => {
  const cluster = useCluster({
    args: ARGS,
    proxied: true,
    redis: { args: ['--appendonly', 'yes', '--appendfsync', 'always'] },
  });

  async function connected(index: number, login: CreatedLogin): Promise<RawClient> {
    return cluster().connect(index, { ticket: await ticketFor(cluster().node(0), login.access_token) });
  }

  const revoke = (node: number, login: CreatedLogin) =>
    backend(cluster().node(node), `/v1/logins/${login.login_id}`, { method: 'DELETE' });

  test('it restarts: logins, their sockets, tickets and revocations are as before', async () => {
    const [login, revoked] = [await createLogin(cluster().node(0)), await createLogin(cluster().node(0))];
    const client = await connected(0, login);
    const ticket = await ticketFor(cluster().node(1), login.access_token);
    await revoke(2, revoked);
    await cluster().redis.restart();
    await cluster().heal();
    expect((await refresh(cluster().node(1), login.refresh_token)).status).toBe(200);
    expect((await me(cluster().node(2), login.access_token)).status).toBe(200);
    expect((await refresh(cluster().node(0), revoked.refresh_token)).body.code).toBe('login_ended');
    expect((await client.request({ type: 'renew_login' })).type).toBe('login_renewed');
    const other = await cluster().connect(2, { ticket });
    await revoke(1, login);
    expect((await client.whenClosed).code).toBe(4001);
    expect((await other.whenClosed).code).toBe(4001);
  });

  test('a node that is stopped over a revocation closes at once when it wakes up', async () => {
    const [login, bystander] = [await createLogin(cluster().node(0)), await createLogin(cluster().node(0))];
    const [client, other] = [await connected(1, login), await connected(1, bystander)];
    cluster().node(1).pause();
    await revoke(0, login);
    await sleep(2_500);
    expect(client.closed).toBeUndefined();
    const wokenMs = performance.now();
    cluster().node(1).resume();
    const closed = await client.whenClosed;
    expect(closed.code).toBe(4001);
    expect(closed.atMs - wokenMs).toBeLessThan(1_000);
    expect((await other.request({ type: 'ping' })).type).toBe('pong');
  });

  test('a node whose connection to Redis hangs over a revocation closes soon after that is over', async () => {
    const login = await createLogin(cluster().node(0));
    const client = await connected(2, login);
    cluster().proxy(2).pause();
    await revoke(0, login);
    await sleep(2_500);
    expect(client.closed).toBeUndefined();
    const backMs = performance.now();
    cluster().proxy(2).resume();
    const closed = await client.whenClosed;
    expect(closed.code).toBe(4001);
    // Two polls, and a wait before it connects anew.
    expect(closed.atMs - backMs).toBeLessThan(2_500);
  });

  test('a revocation whose notice is lost closes at the next sign of life after the time between two touches', async () => {
    const login = await createLogin(cluster().node(0));
    const client = await connected(2, login);
    // Touched now, so it is not before that time has passed.
    await client.request({ type: 'ping' });
    await sleep(200);
    cluster().proxy(2).pause();
    await revoke(0, login);
    const [log] = (await redisCall(cluster().redis.port, 'KEYS', '*:control')) as [string];
    await redisCall(cluster().redis.port, 'DEL', log);
    cluster().proxy(2).resume();
    await cluster().heal();
    expect((await client.request({ type: 'ping' })).type).toBe('pong');
    await sleep(TOUCH_MS);
    expect(client.closed).toBeUndefined();
    client.send({ type: 'ping' });
    expect((await client.whenClosed).code).toBe(4001);
  });

  test('a connection that is made while its login is revoked through another node never stays', async () => {
    cluster().proxy(1).delay(100);
    for (let round = 0; round < 4; round += 1) {
      const login = await createLogin(cluster().node(0));
      const ticket = await ticketFor(cluster().node(0), login.access_token);
      const connecting = cluster()
        .connect(1, { ticket })
        .then(async (client) => (await client.whenClosed).code)
        .catch((error: Error) => Number(/\d{4}/.exec(error.message)?.[0]));
      await sleep(100 * round);
      await revoke(0, login);
      expect(await connecting).toBe(4001);
    }
  });

  test('it is killed and restarted while 300 refresh: who asks again gets the same successor', async () => {
    const login = await createLogin(cluster().node(0));
    await sleep(REUSE_INTERVAL_MS + 50);
    const untilGiven = async (node: number): Promise<string> => {
      for (;;) {
        const { status, body } = await refresh(cluster().node(node), login.refresh_token);
        if (status === 200) return body.refresh_token;
        expect([status, body.code]).toEqual([503, 'store_unavailable']);
        await sleep(100);
      }
    };
    const asking = Array.from({ length: 300 }, (_, i) => untilGiven(i % 3));
    await sleep(15);
    await cluster().redis.kill();
    await cluster().redis.restart();
    const successors = new Set(await Promise.all(asking));
    expect(successors.size).toBe(1);
    const kinds = await eventKinds(cluster().node(0), login.login_id);
    expect(kinds.filter((kind) => kind === 'refreshed')).toHaveLength(1);
  });

  test('a refresh that reaches it long after the client has gone on elsewhere takes nothing for stolen', async () => {
    const login = await createLogin(cluster().node(0));
    await sleep(REUSE_INTERVAL_MS + 50);
    cluster().proxy(0).pause();
    expect((await refresh(cluster().node(0), login.refresh_token)).status).toBe(503);
    const next = await refresh(cluster().node(1), login.refresh_token);
    expect((await refresh(cluster().node(2), next.body.refresh_token)).status).toBe(200);
    await sleep(REUSE_INTERVAL_MS + 50);
    cluster().proxy(0).resume();
    await cluster().heal();
    await sleep(200);
    expect((await refresh(cluster().node(0), next.body.refresh_token)).status).toBe(200);
  });

  test('a failover that loses rotations: the newer token is adopted, and nobody is logged out', async () => {
    const redis = new Redis(cluster().redis.port, '127.0.0.1');
    try {
      const login = await createLogin(cluster().node(0));
      const client = await connected(1, login);
      const [key] = (await redis.keys(`*${loginHandle(login.login_id)}:login`)) as [string];
      let token = login.refresh_token;
      // Once with the rotation of a token that is in use, then of one whose successor nobody has used.
      for (const usesSuccessor of [true, false]) {
        await sleep(REUSE_INTERVAL_MS + 50);
        const record = await redis.dumpBuffer(key);
        const rotated = await refresh(cluster().node(0), token);
        if (usesSuccessor) await refresh(cluster().node(1), rotated.body.refresh_token);
        await redis.restore(key, await redis.pttl(key), record, 'REPLACE');
        const tabs = await Promise.all(
          [0, 1, 2].map((node) => refresh(cluster().node(node), rotated.body.refresh_token)),
        );
        expect(tabs.map(({ status }) => status)).toEqual([200, 200, 200]);
        // A tab that still has the one before.
        const late = await refresh(cluster().node(2), token);
        expect(late.status).toBe(200);
        token = (await refresh(cluster().node(1), late.body.refresh_token)).body.refresh_token;
        expect((await me(cluster().node(0), token)).status).toBe(200);
      }
      expect((await client.request({ type: 'renew_login' })).type).toBe('login_renewed');
    } finally {
      redis.disconnect();
    }
  });
});
