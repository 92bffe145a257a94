import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { call, createLogin, me, refresh, ticketFor } from '../support/login-calls.js';
import type { Reply } from '../support/raw-client.js';
import { useCluster } from './use-cluster.js';

const ACCESS_MS = 2_000;
const MARGIN_MS = 1_000;
const IDLE_MS = 6_000;

describe('the life of a login, shortened', () => {
  const cluster = useCluster({
    nodes: 2,
    args: [
      ['--auth', 'login'],
      ['--access-token-ttl-ms', `${ACCESS_MS}`],
      ['--renewal-margin-ms', `${MARGIN_MS}`],
      ['--ticket-ttl-ms', '1000'],
      ['--reuse-interval-ms', '300'],
      ['--login-idle-ms', `${IDLE_MS}`],
      ['--login-max-ms', '60000'],
    ].flat(),
  });

  const connect = async (token: string) => cluster().connect(0, { ticket: await ticketFor(cluster().node(1), token) });

  test('pings and in-band renewals outlast every lifetime, without any HTTP', async () => {
    const login = await createLogin(cluster().node(0));
    const client = await connect(login.access_token);
    let last: Reply<'login_renewed'> | undefined;
    const endMs = performance.now() + 2 * IDLE_MS;
    while (performance.now() < endMs) {
      await client.next('login_expiring', undefined, ACCESS_MS + MARGIN_MS);
      last = (await client.request({ type: 'renew_login' })) as Reply<'login_renewed'>;
      expect(last.type).toBe('login_renewed');
      expect((await client.request({ type: 'ping' })).type).toBe('pong');
    }
    expect(client.closed).toBeUndefined();
    expect((await me(cluster().node(1), last?.access_token ?? '')).status).toBe(200);
  });

  test('one that does not renew is told, then closed with 4201 after the margin', async () => {
    const login = await createLogin(cluster().node(0));
    const client = await connect(login.access_token);
    const { expires_at: expiresAt = 0 } = client.welcome;
    expect((await client.next('login_expiring')).expires_at).toBe(expiresAt);
    const { code } = await client.whenClosed;
    expect(code).toBe(4201);
    expect(Date.now()).toBeGreaterThanOrEqual(expiresAt + MARGIN_MS - 100);
  });

  test('idle for longer than every short lifetime: a refresh and a fresh ticket bring it back without a person', async () => {
    const login = await createLogin(cluster().node(0));
    await (await connect(login.access_token)).close();
    await sleep(ACCESS_MS + 500);
    expect((await call(cluster().node(0), '/v1/auth/ticket', { token: login.access_token })).body.code).toBe(
      'invalid_credential',
    );
    const { body } = await refresh(cluster().node(1), login.refresh_token);
    const client = await connect(body.access_token);
    expect(client.welcome.principal).toBe('alice');
  });

  test('an idle login ends: 401, and its connection closes with 4002', async () => {
    const login = await createLogin(cluster().node(0), { expires_at: Date.now() + 1_500 });
    const client = await connect(login.access_token);
    expect((await client.whenClosed).code).toBe(4002);
    expect((await refresh(cluster().node(1), login.refresh_token)).body.code).toBe('login_ended');
  });

  test('a ticket is good once, for its origin, and for its time', async () => {
    const login = await createLogin(cluster().node(0));
    const token = login.access_token;
    const once = await ticketFor(cluster().node(0), token);
    const both = await Promise.all(
      [0, 1].map(async (node) => {
        const client = await cluster()
          .connect(node, { ticket: once })
          .catch(() => undefined);
        return client === undefined ? 'refused' : 'open';
      }),
    );
    expect(both.sort()).toEqual(['open', 'refused']);
    const old = await ticketFor(cluster().node(0), token);
    await sleep(1_200);
    await expect(cluster().connect(1, { ticket: old })).rejects.toThrow('4202');
  });
});
