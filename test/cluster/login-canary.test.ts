import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { backend, call, createLogin, me, refresh, ticketFor } from '../support/login-calls.js';
import type { Reply } from '../support/raw-client.js';
import { redisCall } from '../support/redis-process.js';
import { newSession, own, useCluster } from './use-cluster.js';

const REUSE_INTERVAL_MS = 300;
const ORIGIN = 'https://app.example.com';

describe('secrets', () => {
  const cluster = useCluster({
    args: [
      ['--auth', 'login'],
      ['--log-level', 'debug'],
      ['--allowed-origins', ORIGIN],
      ['--reuse-interval-ms', `${REUSE_INTERVAL_MS}`],
    ].flat(),
    redis: { args: ['--rdbcompression', 'no'] },
  });

  /** Redis' data as it would lie on a disk. */
  async function dump(): Promise<string> {
    const { port } = cluster().redis;
    await redisCall(port, 'SAVE');
    const [, folder] = (await redisCall(port, 'CONFIG', 'GET', 'dir')) as [string, string];
    return readFile(join(folder, 'dump.rdb'), 'latin1');
  }

  test('no secret that was issued is in a log, a metric, an error, an event or in Redis', async () => {
    const secrets = new Map<string, string>();
    const told: string[] = [];
    const issue = (name: string, secret = '') => {
      expect(secret.length, name).toBeGreaterThan(20);
      secrets.set(name, secret);
      return secret;
    };
    const node = (index: number) => cluster().node(index);

    const login = await createLogin(node(0), { attributes: { theme: 'dark' }, origin: ORIGIN });
    issue('first refresh token', login.refresh_token);
    issue('first access token', login.access_token);
    issue('login code', login.login_code);
    const unused = await createLogin(node(1));
    issue('unused login code', unused.login_code);
    issue('unused refresh token', unused.refresh_token);

    const page = { origin: ORIGIN, 'x-holdfast': '1' };
    const exchanged = await call<{ access_token: string }>(node(2), '/v1/auth/exchange', {
      headers: page,
      body: { login_code: login.login_code },
    });
    expect(exchanged.status).toBe(200);
    issue('access token of the page', exchanged.body.access_token);
    const cookie = issue('cookie', /^__Host-holdfast=([^;]+)/.exec(exchanged.headers.get('set-cookie') ?? '')?.[1]);
    told.push(JSON.stringify(exchanged.body).replaceAll(exchanged.body.access_token, ''));

    await sleep(REUSE_INTERVAL_MS + 50);
    const rotated = await refresh(node(1), cookie);
    issue('second refresh token', rotated.body.refresh_token);
    issue('second access token', rotated.body.access_token);

    const ticket = issue('used ticket', await ticketFor(node(0), rotated.body.access_token));
    issue('unused ticket', await ticketFor(node(0), rotated.body.access_token));
    const client = await cluster().connect(1, { ticket });
    issue('reconnect token', (await own(client, newSession())).token);
    const renewed = (await client.request({ type: 'renew_login' })) as Reply<'login_renewed'>;
    issue('renewed access token', renewed.access_token);

    // Everything that is refused, with secrets in the places where they do not belong.
    for (const secret of secrets.values()) {
      told.push(JSON.stringify((await refresh(node(2), `${secret}x`)).body));
      told.push(JSON.stringify((await me(node(0), `${secret.slice(0, -3)}xyz`)).body));
      const path = `/v1/logins/${encodeURIComponent(secret.slice(0, 120))}`;
      told.push(JSON.stringify((await backend(node(1), path, { method: 'GET' })).body).replaceAll(path, ''));
      told.push(JSON.stringify((await call(node(1), `/v1/auth/${secret}?token=${secret}`, { token: secret })).body));
      told.push(
        JSON.stringify((await call(node(0), '/v1/auth/exchange', { body: { login_code: `${secret}x` } })).body),
      );
    }
    const events = await backend(node(0), `/v1/logins/${login.login_id}/events`, { method: 'GET' });
    told.push(JSON.stringify(events.body));
    const before = await dump();
    await sleep(REUSE_INTERVAL_MS + 50);
    await refresh(node(0), rotated.body.refresh_token);
    await sleep(REUSE_INTERVAL_MS + 50);
    told.push(JSON.stringify((await refresh(node(2), cookie)).body));
    const places = new Map([
      ['answers', told.join('\n')],
      ['Redis', before],
      ['Redis after reuse', await dump()],
    ]);
    for (const { nodeId, rawLog, internalUrl } of cluster().nodes) {
      places.set(`log of ${nodeId}`, rawLog);
      places.set(`metrics of ${nodeId}`, await (await fetch(`${internalUrl}/metrics`)).text());
    }
    expect(places.get('Redis')).toContain('alice');
    expect(places.get('log of n1')).toContain('refresh');

    const found: string[] = [];
    for (const [name, secret] of secrets) {
      // The parts of a token are as good as the whole: the last one is its MAC or signature.
      const parts = [
        secret,
        secret.slice(-32),
        ...secret.split('.').filter((part) => part.length >= 40 && !part.startsWith('eyJ')),
      ];
      const loginPart = Buffer.from(login.login_id).toString('base64url');
      for (const [place, text] of places) {
        if (parts.some((part) => part !== loginPart && text.includes(part))) found.push(`${name} in ${place}`);
      }
    }
    expect(found).toEqual([]);
  });
});
