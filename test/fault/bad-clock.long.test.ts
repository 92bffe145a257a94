/** Nodes whose clocks are five minutes off, both ways, beside one that is right: all must understand each other. */
import { createHmac } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { IssuedTokens } from '../../src/protocol/http.js';
import { Application, HOOK_SECRET } from '../support/application.js';
import { GatewayProcess, SECRETS } from '../support/gateway-process.js';
import { createLogin, refresh } from '../support/login-calls.js';
import { freePorts } from '../support/ports.js';
import { RawClient } from '../support/raw-client.js';
import { type PrivateRedis, startPrivateRedis } from '../support/redis-process.js';
import { linesOf, readiness, statusOf } from './surroundings.js';

/** A little more than a signed request may be off. */
const OFF_MS = 310_000;

/** Makes `Date` of a process lie, and leaves its monotonic time alone. */
function shifted(ms: number): Record<string, string> {
  const code = `const D=Date;globalThis.Date=class extends D{constructor(...a){a.length?super(...a):super(D.now()+${ms})}static now(){return D.now()+${ms}}}`;
  return ms === 0 ? {} : { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(code)}` };
}

/** A JWT of the application, whose own clock is right. */
function jwt(claims: object): string {
  const [head, body] = [{ alg: 'HS256', typ: 'JWT' }, claims].map((part) =>
    Buffer.from(JSON.stringify(part)).toString('base64url'),
  );
  const mac = createHmac('sha256', SECRETS.HOLDFAST_JWT_SECRET).update(`${head}.${body}`).digest('base64url');
  return `${head}.${body}.${mac}`;
}

describe('nodes whose clocks differ by minutes', () => {
  let redis: PrivateRedis;
  const application = new Application();
  let nodes: readonly [right: GatewayProcess, fast: GatewayProcess, slow: GatewayProcess];
  /** Each node with each other one, and with itself. */
  const pairs = () => nodes.flatMap((from) => nodes.map((to) => [from, to] as const));

  beforeAll(async () => {
    [redis] = await Promise.all([startPrivateRedis(), application.start()]);
    const start = async (nodeId: string, ms: number) => {
      const [port = 0, internalPort = 0] = await freePorts(2);
      const args = [
        '--auth',
        'login,jwt',
        '--events-url',
        `${application.url}/events`,
        '--access-token-ttl-ms',
        '120000',
      ];
      const env = { ...shifted(ms), HOLDFAST_HOOK_SECRET: HOOK_SECRET };
      const common = { redisUrl: redis.url, redisPrefix: 'hf', graceMs: 30_000 };
      return new GatewayProcess({ nodeId, ...common, args, env }, port, internalPort).start();
    };
    nodes = await Promise.all([start('right', 0), start('fast', OFF_MS), start('slow', -OFF_MS)]);
  });

  afterAll(async () => {
    await Promise.all(nodes.map((node) => node.stop()));
    await redis.stop();
    await application.stop();
  });

  test('say so once, and how far, and are ready', async () => {
    for (const [index, node] of nodes.entries()) {
      const aheadMs = [0, OFF_MS, -OFF_MS][index] ?? 0;
      const { clock } = await statusOf(node);
      expect(Math.abs((clock?.ahead_ms ?? Number.NaN) - aheadMs)).toBeLessThan(2_000);
      expect(await readiness(node)).toEqual({ http: 200, reasons: [], degraded: [] });
      const metrics = await (await fetch(`${node.internalUrl}/metrics`)).text();
      const [, seconds] = /^holdfast_clock_offset_seconds (\S+)$/m.exec(metrics) ?? [];
      expect(Math.abs(Number(seconds) - aheadMs / 1_000)).toBeLessThan(2);
    }
    expect(nodes.map((node) => linesOf(node, 'clock_offset').length)).toEqual([0, 1, 1]);
  });

  test('take the access tokens, tickets and refresh tokens of each other', async () => {
    for (const [from, to] of pairs()) {
      const login = await createLogin(from, { rights: [{ sessions: '*', allow: ['own', 'send', 'watch'] }] });
      // Of the access token, which is good for two minutes.
      expect(Math.abs(login.expires_at - 120_000 - Date.now())).toBeLessThan(10_000);
      const byToken = await RawClient.connect(to.connectUrl, { token: login.access_token });
      const ticket = await fetch(`${from.url}/v1/auth/ticket`, {
        method: 'POST',
        headers: { authorization: `Bearer ${login.access_token}` },
      });
      const { ticket: text } = (await ticket.json()) as { ticket: string };
      const byTicket = await RawClient.connect(to.connectUrl, { ticket: text });
      const refreshed = await refresh(to, login.refresh_token);
      expect([ticket.status, refreshed.status]).toEqual([200, 200]);
      const again = await RawClient.connect(from.connectUrl, { token: (refreshed.body as IssuedTokens).access_token });
      // What a connection is told of its credential's end decides when it is closed.
      for (const client of [byToken, byTicket, again]) {
        const { message } = client.frames.find((frame) => frame.message.type === 'welcome') ?? {};
        expect(message).toMatchObject({ type: 'welcome', principal: 'alice' });
        expect(client.closed).toBeUndefined();
        client.socket.close();
      }
    }
  });

  test('hand sessions over to each other', async () => {
    const sessionId = 'clock:1';
    let token: string | undefined;
    for (const node of [...nodes, ...nodes]) {
      const login = await createLogin(node, { rights: [{ sessions: '*', allow: ['own', 'send', 'watch'] }] });
      const client = await RawClient.connect(node.connectUrl, { token: login.access_token });
      const ack = await client.subscribe(sessionId, token === undefined ? {} : { reconnect_token: token });
      expect(ack).toMatchObject({ owner: true });
      token = ack.reconnect_token;
      client.socket.terminate();
    }
  });

  test("take the application's JWTs while they are good, and not when they are over", async () => {
    const nowS = Math.floor(Date.now() / 1_000);
    const rights = [{ sessions: '*', allow: ['watch'] }];
    const good = jwt({ sub: 'bob', iat: nowS, nbf: nowS - 5, exp: nowS + 200, rights });
    const over = jwt({ sub: 'bob', iat: nowS - 200, exp: nowS - 100, rights });
    for (const node of nodes) {
      const client = await RawClient.connect(node.connectUrl, { token: good });
      client.socket.close();
      const refused = await RawClient.connect(node.connectUrl, { token: over }).then(
        async (late) => (await late.whenClosed).code,
        () => 'refused',
      );
      expect([4201, 4202, 'refused']).toContain(refused);
    }
  });

  test('sign requests that the application believes', async () => {
    const login = await createLogin(nodes[0], { rights: [{ sessions: '*', allow: ['own', 'watch'] }] });
    const client = await RawClient.connect(nodes[0].connectUrl, { token: login.access_token });
    let round = 0;
    // It takes a while until each node has its share of the partitions.
    const delivering = async () => {
      round += 1;
      for (let n = 0; n < 12; n += 1) {
        await client.subscribe(`told:${round}:${n}`);
        await client.request({ type: 'unsubscribe', session_id: `told:${round}:${n}` });
      }
      return Promise.all(nodes.map(delivers));
    };
    await expect.poll(delivering, { timeout: 60_000, interval: 1_000 }).toEqual([true, true, true]);
    expect(application.callsOf('/events').filter(({ genuine }) => !genuine)).toEqual([]);
    client.socket.terminate();
  }, 90_000);
});

async function delivers(node: GatewayProcess): Promise<boolean> {
  const metrics = await (await fetch(`${node.internalUrl}/metrics`)).text();
  return /^holdfast_events_total\{.*outcome="delivered"\} [1-9]/m.test(metrics);
}
