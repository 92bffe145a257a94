import { setTimeout as sleep } from 'node:timers/promises';
import { SignJWT } from 'jose';
import { describe, expect, test } from 'vitest';
import { SECRETS } from '../support/gateway-process.js';
import { backend, call, ticketFor } from '../support/login-calls.js';
import { newSession, own, useCluster, watch } from './use-cluster.js';

const WITHIN_MS = 1_000;

describe("disconnecting a principal with the application's own JWTs, over three nodes", () => {
  const cluster = useCluster({ args: ['--auth', 'jwt,anonymous'], graceMs: 8_000 });

  /** @param agoMs since when it counts as issued */
  function jwtFor(principal: string, agoMs = 0): Promise<string> {
    const issuedAtS = Math.floor((Date.now() - agoMs) / 1_000);
    return new SignJWT({})
      .setProtectedHeader({ alg: 'HS256' })
      .setSubject(principal)
      .setIssuedAt(issuedAtS)
      .setExpirationTime(issuedAtS + 600)
      .sign(Buffer.from(SECRETS.HOLDFAST_JWT_SECRET));
  }

  const disconnect = (node: number, principal: string, body: object = {}) =>
    backend(cluster().node(node), `/v1/principals/${principal}/disconnect`, { body });

  test('closes what was issued before on every node with 4001, frees its sessions, and leaves others', async () => {
    const session = newSession();
    const token = await jwtFor('carol', 5_000);
    const ticket = await ticketFor(cluster().node(0), token);
    const clients = await Promise.all([0, 1, 2].map((node) => cluster().connect(node, { token })));
    const bystander = await cluster().connect(1, { token: await jwtFor('carol2', 5_000) });
    const watcher = await cluster().connect(2);
    await own(clients[0] as (typeof clients)[0], session);
    await watch(watcher, session);
    const sinceMs = performance.now();
    expect((await disconnect(1, 'carol')).status).toBe(204);
    for (const client of clients) {
      const closed = await client.whenClosed;
      expect(closed.code).toBe(4001);
      expect(closed.atMs - sinceMs).toBeLessThan(WITHIN_MS);
    }
    await watcher.nextOwnership(session, 'free');
    for (const node of [0, 1, 2]) {
      const asked = await call(cluster().node(node), '/v1/auth/ticket', { token });
      expect([asked.status, asked.body.code]).toEqual([401, 'invalid_credential']);
      await expect(cluster().connect(node, { token })).rejects.toThrow('4202');
    }
    await expect(cluster().connect(2, { ticket })).rejects.toThrow('4202');
    expect((await bystander.request({ type: 'ping' })).type).toBe('pong');
  });

  test('leaves what is issued later, and what was renewed with that before', async () => {
    const client = await cluster().connect(0, { token: await jwtFor('dave', 60_000) });
    const old = await cluster().connect(1, { token: await jwtFor('dave', 60_000) });
    const renewal = await client.request({ type: 'renew_login', access_token: await jwtFor('dave') });
    expect(renewal.type).toBe('login_renewed');
    expect((await disconnect(2, 'dave', { not_before: Date.now() - 30_000 })).status).toBe(204);
    expect((await old.whenClosed).code).toBe(4001);
    await sleep(WITHIN_MS);
    expect((await client.request({ type: 'ping' })).type).toBe('pong');
    await cluster().connect(2, { token: await jwtFor('dave') });
  });

  test('a connection that is made at the same time does not stay', async () => {
    const token = await jwtFor('erin', 5_000);
    const connecting = Array.from({ length: 30 }, async (_, i) => {
      await sleep(i * 2);
      const client = await cluster()
        .connect(i % 3, { token })
        .catch(() => undefined);
      return client === undefined ? 'refused' : (await client.whenClosed).code;
    });
    await sleep(30);
    await disconnect(0, 'erin');
    const ends = new Set(await Promise.all(connecting));
    expect([...ends].filter((end) => end !== 'refused' && end !== 4001)).toEqual([]);
  });
});
