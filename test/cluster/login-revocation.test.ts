import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { backend, call, createLogin, refresh, ticketFor } from '../support/login-calls.js';
import type { RawClient } from '../support/raw-client.js';
import { redisCall } from '../support/redis-process.js';
import { newSession, own, useCluster, watch } from './use-cluster.js';

/** Two polls of the control log, and what a busy machine adds. */
const WITHIN_MS = 1_000;

describe('revoking over three nodes', () => {
  const cluster = useCluster({ args: ['--auth', 'login,anonymous'], graceMs: 8_000 });

  async function connected(index: number, accessToken: string): Promise<RawClient> {
    return cluster().connect(index, { ticket: await ticketFor(cluster().node(0), accessToken) });
  }

  async function expectClosed(clients: readonly RawClient[], code: number, sinceMs: number): Promise<void> {
    for (const client of clients) {
      const closed = await client.whenClosed;
      expect(closed.code).toBe(code);
      expect(closed.atMs - sinceMs).toBeLessThan(WITHIN_MS);
    }
  }

  test('DELETE of a login closes its connections on every node with 4001; others stay', async () => {
    const login = await createLogin(cluster().node(0));
    const other = await createLogin(cluster().node(0));
    const clients = [
      await connected(0, login.access_token),
      await connected(1, login.access_token),
      await connected(2, login.access_token),
    ];
    const bystander = await connected(1, other.access_token);
    const sinceMs = performance.now();
    const answer = await backend(cluster().node(2), `/v1/logins/${login.login_id}`, { method: 'DELETE' });
    expect(answer.status).toBe(200);
    await expectClosed(clients, 4001, sinceMs);
    expect((await bystander.request({ type: 'ping' })).type).toBe('pong');
    expect((await refresh(cluster().node(1), login.refresh_token)).body.code).toBe('login_ended');
    expect((await call(cluster().node(1), '/v1/auth/ticket', { token: login.access_token })).status).toBe(401);
  });

  test('logout closes with 4002, all logins of a principal with 4001', async () => {
    const one = await createLogin(cluster().node(0), { principal: 'bob' });
    const two = await createLogin(cluster().node(1), { principal: 'bob' });
    const three = await createLogin(cluster().node(2), { principal: 'bob' });
    const first = await connected(2, one.access_token);
    const rest = [await connected(0, two.access_token), await connected(1, three.access_token)];
    let sinceMs = performance.now();
    expect((await call(cluster().node(0), '/v1/auth/logout', { token: one.access_token })).status).toBe(204);
    await expectClosed([first], 4002, sinceMs);
    sinceMs = performance.now();
    const answer = await backend(cluster().node(0), '/v1/principals/bob/logins', { method: 'DELETE' });
    expect(answer.body).toEqual({ revoked: 2 });
    await expectClosed(rest, 4001, sinceMs);
  });

  test('what a revoked login owned is free at once, what is held for it too', async () => {
    const login = await createLogin(cluster().node(0));
    const [live, held] = [newSession(), newSession()];
    const watcher = await cluster().connect(2);
    const owner = await connected(0, login.access_token);
    const gone = await connected(1, login.access_token);
    await own(owner, live);
    await own(gone, held);
    await watch(watcher, live);
    await watch(watcher, held);
    gone.terminate();
    await watcher.nextOwnership(held, 'held');
    const sinceMs = performance.now();
    await backend(cluster().node(1), `/v1/logins/${login.login_id}`, { method: 'DELETE' });
    const free = [await watcher.nextFrame('ownership', (it) => it.session_id === held && it.state === 'free')];
    free.push(await watcher.nextFrame('ownership', (it) => it.session_id === live && it.state === 'free'));
    for (const { atMs, message } of free) {
      expect(message).toMatchObject({ reason: 'revoked' });
      expect(atMs - sinceMs).toBeLessThan(WITHIN_MS);
    }
  });

  test('with the connections to Redis cut again and again it still arrives', async () => {
    const login = await createLogin(cluster().node(0));
    const clients = [await connected(1, login.access_token), await connected(2, login.access_token)];
    const { redis } = cluster();
    for (let i = 0; i < 3; i += 1) {
      await redisCall(redis.port, 'CLIENT', 'KILL', 'TYPE', 'pubsub');
      await redisCall(redis.port, 'CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
      await sleep(100);
    }
    await cluster().heal();
    const answer = await backend(cluster().node(0), `/v1/logins/${login.login_id}`, { method: 'DELETE' });
    expect(answer.status).toBe(200);
    for (const client of clients) expect((await client.whenClosed).code).toBe(4001);
  });
});
