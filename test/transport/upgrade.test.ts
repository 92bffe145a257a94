import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { SignJWT } from 'jose';
import { afterAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/lib/clock.js';
import { createJwtVerifier } from '../../src/login/jwt.js';
import { ALL_RIGHTS, rightsOf } from '../../src/session/rights.js';
import type { AuthenticationOptions } from '../../src/transport/authenticate.js';
import { fakeAuthentication } from './fake-logins.js';
import { Client, connected, rawSocket, refusedUpgrade, startGateway, until, upgradeHead } from './gateway.js';

const SECRET = randomBytes(32);

const { live, authentication } = await fakeAuthentication(systemClock, {
  jwt: createJwtVerifier({ secrets: [SECRET], clockToleranceMs: 0 }),
});
afterAll(() => live.stop());
const JWT: AuthenticationOptions = {
  ...authentication,
  rightsFor: (principal, claims) => rightsOf(principal, claims, []),
};

async function bearer(claims: Record<string, unknown>) {
  const exp = Date.now() / 1000 + 60;
  const token = await new SignJWT({ sub: 'alice', exp, ...claims }).setProtectedHeader({ alg: 'HS256' }).sign(SECRET);
  return { headers: { authorization: `Bearer ${token}` } };
}

describe('the subprotocol', () => {
  it.each([
    [['holdfast.v1'], 'holdfast.v1'],
    [['ticket.secret', 'holdfast.v1'], 'holdfast.v1'],
    [[], ''],
  ])('of %j is %j', async (offered, chosen) => {
    const { port } = await startGateway();
    const client = new Client(port, {}, offered);
    expect(await client.next()).toMatchObject({ type: 'welcome' });
    expect(client.socket.protocol).toBe(chosen);
  });

  it('is never an unknown one', async () => {
    const { port } = await startGateway();
    const socket = await rawSocket(port);
    socket.write(upgradeHead('Sec-WebSocket-Protocol: ticket.secret\r\n'));
    const [data] = (await once(socket, 'data')) as [Buffer];
    expect(String(data)).toContain('101 Switching Protocols');
    expect(String(data)).not.toContain('ticket.secret');
  });
});

describe('the origin', () => {
  it.each(['https://evil.example', 'https://app.example.com.evil.example', 'http://app.example.com', 'null', 'x'])(
    'refuses %s',
    async (origin) => {
      const { port, reports } = await startGateway();
      const { status, body } = await refusedUpgrade(port, { origin });
      expect([status, body['code']]).toEqual([403, 'origin_not_allowed']);
      expect(reports.counts.get('refused:origin')).toBe(1);
    },
  );

  it('accepts the listed one, and none at all', async () => {
    const { port } = await startGateway();
    await connected(port, { headers: { origin: 'https://app.example.com' } });
    await connected(port);
  });

  it('accepts any on this machine under dev, and only those', async () => {
    const { port } = await startGateway({ origins: { allowed: [], allowLoopback: true } });
    for (const origin of ['http://localhost:3000', 'http://127.0.0.1:1', 'https://[::1]', 'http://app.localhost']) {
      await connected(port, { headers: { origin } });
    }
    for (const origin of ['http://localhost.evil.example', 'http://127.0.0.1.evil.example', 'file://localhost']) {
      expect((await refusedUpgrade(port, { origin })).status).toBe(403);
    }
  });
});

describe('who connects', () => {
  it('is somebody new each time under anonymous', async () => {
    const { port } = await startGateway();
    const principals = [await new Client(port).next(), await new Client(port).next()].map((welcome) =>
      welcome.type === 'welcome' ? welcome.principal : '',
    );
    expect(principals[0]).toMatch(/^anon:[0-9a-f-]{36}$/);
    expect(principals[0]).not.toBe(principals[1]);
  });

  it('is the subject of its JWT, with the rights in it', async () => {
    const { port, sessions } = await startGateway({ authentication: JWT });
    const rights = [{ sessions: 'doc:*', allow: ['watch'] }];
    const client = new Client(port, await bearer({ rights }));
    expect(await client.next()).toMatchObject({ principal: 'alice', expires_at: expect.any(Number) });
    await client.ask({ type: 'subscribe', session_id: 'doc:1' });
    const subscriber = sessions.subscribers.get('doc:1');
    expect(subscriber?.rights.allows('watch', 'doc:1')).toBe(true);
    expect(subscriber?.rights.allows('own', 'doc:1')).toBe(false);
    expect(subscriber?.rights.allows('watch', 'other:1')).toBe(false);
  });

  it.each([
    ['no credential', {}],
    ['another scheme', { headers: { authorization: 'Basic eDp5' } }],
    ['a forged token', { headers: { authorization: 'Bearer a.b.c' } }],
  ])('with %s is upgraded and closed with 4202', async (_, options) => {
    const { port, reports, server } = await startGateway({ authentication: JWT });
    const client = new Client(port, options);
    expect(await client.closed()).toEqual({ code: 4202, reason: 'bad_credential' });
    expect(reports.counts.get('refused:credential')).toBe(1);
    expect(server.connections().size).toBe(0);
  });

  it.each([
    ['the principal of an anonymous connection', { sub: 'anon:1' }],
    ['rights that are no list', { rights: {} }],
    ['rights of an unknown kind', { rights: [{ sessions: '*', allow: ['fly'] }] }],
    ['rights on a bad pattern', { rights: [{ sessions: '*a*b*c*d*', allow: [] }] }],
    ['rights without a pattern', { rights: [{ allow: ['own'] }] }],
  ])('with a JWT for %s is refused', async (_, claims) => {
    const { port } = await startGateway({ authentication: { ...JWT, anonymous: true } });
    expect(await new Client(port, await bearer(claims)).closed()).toMatchObject({ code: 4202 });
  });

  it('with an expired JWT is closed with 4201', async () => {
    const { port } = await startGateway({ authentication: JWT });
    const client = new Client(port, await bearer({ exp: Date.now() / 1000 - 10 }));
    expect(await client.closed()).toEqual({ code: 4201, reason: 'login_expired' });
  });

  it('is closed with 4201 when the JWT has ended and the margin is over', async () => {
    const limits = { pingIntervalMs: 1000, pongTimeoutMs: 500, renewalMarginMs: 500 };
    const { port, sessions } = await startGateway({ authentication: JWT, limits });
    const endsAtMs = Math.ceil(Date.now() / 1000) * 1000 + 1000;
    const client = await connected(port, await bearer({ exp: endsAtMs / 1000 }));
    expect(await client.next()).toEqual({ type: 'login_expiring', expires_at: endsAtMs });
    expect(await client.closed()).toEqual({ code: 4201, reason: 'login_expired' });
    expect(Date.now() - endsAtMs).toBeGreaterThanOrEqual(500);
    expect(Date.now() - endsAtMs).toBeLessThan(1000);
    expect(sessions.departures).toMatchObject([{ release: false }]);
  });

  it('stays with a JWT that ends in 100 years', async () => {
    const limits = { pingIntervalMs: 60, pongTimeoutMs: 40 };
    const { port } = await startGateway({ authentication: JWT, limits });
    const client = await connected(port, await bearer({ exp: Date.now() / 1000 + 100 * 365 * 86_400 }));
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(await client.ask({ type: 'ping' })).toEqual({ type: 'pong' });
  });

  it('may be anybody where no JWT is looked at', async () => {
    const { port } = await startGateway({ authentication: { anonymous: true, rightsFor: () => ALL_RIGHTS } });
    await connected(port, { headers: { authorization: 'Bearer of-some-proxy' } });
  });
});

describe('an upgrade is refused', () => {
  it('with anything in its query', async () => {
    const { port } = await startGateway();
    const { status, body } = await refusedUpgrade(port, {}, '/v1/connect?token=secret');
    expect([status, body['code'], body['field']]).toEqual([400, 'invalid_field', 'query']);
    expect(JSON.stringify(body)).not.toContain('secret');
  });

  it('at another path', async () => {
    const { port } = await startGateway();
    expect((await refusedUpgrade(port, {}, '/v1/sessions/x')).status).toBe(404);
  });

  it('while draining; what is open stays', async () => {
    const { port, server } = await startGateway();
    const client = await connected(port);
    server.refuseUpgrades(1500);
    const { status, headers, body } = await refusedUpgrade(port);
    expect([status, headers['retry-after']]).toEqual([503, '2']);
    expect(body).toMatchObject({ code: 'draining', retryable: true, retry_after_ms: 1500 });
    expect(await client.ask({ type: 'ping' })).toEqual({ type: 'pong' });
  });

  it('while overloaded or full', async () => {
    let overloaded = false;
    const { port } = await startGateway({ maxConnections: 1, overloaded: () => overloaded });
    const client = await connected(port);
    expect(await refusedUpgrade(port)).toMatchObject({ status: 503, body: { code: 'overloaded' } });
    client.socket.close();
    await client.closed();
    overloaded = true;
    expect(await refusedUpgrade(port)).toMatchObject({ status: 503, body: { code: 'overloaded' } });
  });

  it('when its address has enough connections, refused credentials included', async () => {
    const { port, reports } = await startGateway({ maxConnectionsPerAddress: 2, trustedProxies: ['127.0.0.0/8'] });
    const from = (address: string) => ({ headers: { 'x-forwarded-for': `203.0.113.9, ${address}` } });
    const first = await connected(port, from('192.0.2.1'));
    await connected(port, from('192.0.2.1'));
    await connected(port, from('192.0.2.2'));
    const { status, body } = await refusedUpgrade(port, from('192.0.2.1').headers);
    expect([status, body['code']]).toEqual([429, 'too_many_connections']);
    first.socket.close();
    await until(() => reports.open === 2);
    await connected(port, from('192.0.2.1'));
  });

  it('without giving up the place of a malformed one', async () => {
    const { port, reports } = await startGateway({ maxConnectionsPerAddress: 1 });
    for (let i = 0; i < 3; i += 1) {
      const socket = await rawSocket(port);
      socket.write(upgradeHead().replace('Version: 13', 'Version: 99'));
      const [data] = (await once(socket, 'data')) as [Buffer];
      expect(String(data)).toContain('400 Bad Request');
    }
    expect(reports.counts.get('refused:malformed')).toBe(3);
    await connected(port);
  });
});

describe('a client that resets the connection', () => {
  it('while it is refused does no harm', async () => {
    const { port, reports } = await startGateway();
    for (let i = 0; i < 50; i += 1) {
      const socket = await rawSocket(port);
      socket.write(upgradeHead('Origin: https://evil.example\r\n'), () => socket.resetAndDestroy());
    }
    await until(() => (reports.counts.get('refused:origin') ?? 0) > 0);
    await connected(port);
  });

  it('while its credential is checked leaves nothing behind', async () => {
    const { port, reports } = await startGateway({ authentication: JWT, maxConnectionsPerAddress: 60 });
    const { headers } = await bearer({});
    for (let i = 0; i < 50; i += 1) {
      const socket = await rawSocket(port);
      socket.write(upgradeHead(`Authorization: ${headers.authorization}\r\n`), () => socket.resetAndDestroy());
    }
    await new Promise((resolve) => setTimeout(resolve, 200));
    await until(() => reports.open === 0);
    await Promise.all(Array.from({ length: 60 }, () => connected(port, { headers })));
  });
});
