import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { call, createLogin, me, refresh, ticketFor } from '../support/login-calls.js';
import { UpgradeRefused } from '../support/raw-client.js';
import { useCluster } from './use-cluster.js';

describe('logins while Redis is away', () => {
  const cluster = useCluster({ nodes: 2, args: ['--auth', 'login', '--reuse-interval-ms', '1000'], graceMs: 20_000 });

  test('everything is 503 with Retry-After, sockets stay, and on its return everything goes on', async () => {
    const login = await createLogin(cluster().node(0));
    const ticket = await ticketFor(cluster().node(0), login.access_token);
    const client = await cluster().connect(0, { ticket: await ticketFor(cluster().node(1), login.access_token) });
    cluster().redis.pause();
    const answers = await Promise.all([
      refresh(cluster().node(0), login.refresh_token),
      call(cluster().node(1), '/v1/auth/ticket', { token: login.access_token }),
      me(cluster().node(0), login.access_token),
      me(cluster().node(1), login.refresh_token),
      call(cluster().node(0), '/v1/auth/logout', { token: login.access_token }),
    ]);
    for (const { status, body, headers } of answers) {
      expect([status, body.code]).toEqual([503, 'store_unavailable']);
      expect(Number(headers.get('retry-after'))).toBeGreaterThan(0);
    }
    const upgrade = cluster().connect(0, { ticket, timeoutMs: 8_000 });
    await expect(upgrade).rejects.toSatisfy((error) => error instanceof UpgradeRefused && error.status === 503);
    const renewal = await client.request({ type: 'renew_login' }, 8_000);
    expect(renewal).toMatchObject({ type: 'error', code: 'store_unavailable', retryable: true });
    expect(client.closed).toBeUndefined();

    cluster().redis.resume();
    await cluster().heal();
    await sleep(1_000);
    expect(client.closed).toBeUndefined();
    expect((await client.request({ type: 'renew_login' })).type).toBe('login_renewed');
    expect((await me(cluster().node(1), login.access_token)).status).toBe(200);
    expect((await refresh(cluster().node(1), login.refresh_token)).status).toBe(200);
  });
});
