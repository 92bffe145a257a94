import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { type Client, createClient } from '../../src/client/index.js';
import { createLogin, type LoginClient } from '../../src/client/login/index.js';
import { newSession, noHaproxy, useCluster, withHaproxy } from '../cluster/use-cluster.js';
import * as calls from '../support/login-calls.js';
import { fails, StrictProvider } from '../support/strict-provider.js';
import { TcpProxy } from '../support/tcp-proxy.js';

/** Longer than an access token with its margin, a ticket, the reuse interval and the grace period last. */
const IDLE_MS = 2_500;
/** For so long the upstream provider is not asked again. */
const FRESH_MS = 100;
const LONG = { timeout: 20_000 };

describe.skipIf(noHaproxy)(withHaproxy('a client with a login behind HAProxy and three nodes'), () => {
  const idp = StrictProvider.start();
  const folder = mkdtemp(join(tmpdir(), 'holdfast-client-'));
  let provider: StrictProvider;
  let proxy: TcpProxy;
  let kept: string | undefined;
  let ended: string[];
  const open: { close(): void }[] = [];

  const cluster = useCluster(async () => {
    provider = await idp;
    const upstreams = {
      default: { tokenUrl: provider.tokenUrl, clientId: 'gateway', exposeAccessToken: true, freshMs: FRESH_MS },
    };
    const config = join(await folder, 'holdfast.json');
    await writeFile(config, JSON.stringify({ upstreams }));
    return {
      haproxy: true,
      graceMs: 1_000,
      args: [
        ['--auth', 'login', '--config', config],
        ['--access-token-ttl-ms', '1500'],
        ['--renewal-margin-ms', '500'],
        ['--ticket-ttl-ms', '1000'],
        ['--reuse-interval-ms', '300'],
      ].flat(),
      env: { HOLDFAST_ALLOW_LOOPBACK_HTTP: 'true' },
    };
  });

  beforeEach(async () => {
    proxy = await TcpProxy.start(cluster().haproxy.port);
    ended = [];
  });

  afterEach(async () => {
    for (const one of open.splice(0)) one.close();
    await proxy.stop();
  });

  afterAll(async () => {
    await provider.stop();
    await rm(await folder, { recursive: true });
  });

  function loginClient(requestTimeoutMs = 1_000): LoginClient {
    const refreshTokens = { get: () => kept, set: (token: string | undefined) => void (kept = token) };
    const login = createLogin({ url: `http://127.0.0.1:${proxy.port}`, refreshTokens, requestTimeoutMs });
    login.on('ended', ({ reason }) => ended.push(reason));
    open.push(login);
    return login;
  }

  async function connected(): Promise<{ client: Client; login: LoginClient }> {
    const login = loginClient();
    await login.exchange((await calls.createLogin(cluster().node(0))).login_code);
    const url = `ws://127.0.0.1:${proxy.port}/v1/connect`;
    const client = createClient({ url, WebSocket, login, pingIntervalMs: 500, pongTimeoutMs: 500 });
    open.push(client);
    return { client, login };
  }

  /** How the network goes while nobody is there, and what brings it back. */
  const absences: [string, () => void, () => unknown][] = [
    ['everything in between hangs', () => proxy.pause(), () => proxy.resume()],
    [
      'the connection is cut and no other can be made',
      () => {
        proxy.refuse();
        proxy.killConnections();
      },
      () => proxy.accept(),
    ],
  ];

  test.each(absences)('comes back by itself when all its tokens are over: %s', async (_, leave, come) => {
    const { client, login } = await connected();
    const session = client.session(newSession());
    await expect.poll(() => session.state.name).toBe('owner');
    const renewed: number[] = [];
    login.on('renewed', ({ expiresAt }) => renewed.push(expiresAt));
    leave();
    // Not even the node that served it is there any more.
    await cluster().node(1).kill();
    await sleep(IDLE_MS);
    await come();
    await expect.poll(() => session.state.name, { timeout: 12_000 }).toBe('owner');
    expect(client.connection.name).toBe('open');
    expect(ended).toEqual([]);
    // And stays.
    const before = renewed.length;
    await expect.poll(() => renewed.length, { timeout: 3_000 }).toBeGreaterThan(before);
    expect(client.connection.name).toBe('open');
  });

  test('20 page loads with doubled effects and retries never need a new login', async () => {
    const upstreamToken = provider.issue();
    const created = await calls.createLogin(cluster().node(0), { upstream: { refresh_token: upstreamToken } });
    kept = created.refresh_token;
    for (let load = 0; load < 20; load += 1) {
      const before = provider.requests.length;
      // By turns the answer comes after the client has given up, is none yet, or is lost.
      provider.delayMs = load % 5 === 0 ? 800 : 10;
      if (load % 10 === 1) provider.faults.push(fails(400, 'temporarily_unavailable'));
      if (load % 5 === 2) void proxy.dropOnce('replies');
      const effects = Promise.all([0, 1].map(() => loginClient(500).upstream()));
      // Only the first: a provider that is always slower than a client waits would keep it waiting for ever.
      await Promise.race([effects, expect.poll(() => provider.requests.length, LONG).toBeGreaterThan(before)]);
      provider.delayMs = 10;
      for (const token of await effects) expect(token.access_token).toMatch(/^at-/);
      await sleep(FRESH_MS);
    }
    expect(ended).toEqual([]);
    expect(provider.requests.length).toBeGreaterThanOrEqual(20);
    expect(provider.mostInFlight).toBe(1);
    expect(provider.grantOf(upstreamToken).revoked).toBe(false);
    expect((await calls.refresh(cluster().node(0), kept)).status).toBe(200);
  }, 60_000);
});
