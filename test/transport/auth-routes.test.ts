import { describe, expect, it } from 'vitest';
import { HoldfastError } from '../../src/protocol/errors.js';
import { EXPIRES_AT, TOKENS, VIEW } from './fake-login-api.js';
import { startGateway } from './gateway.js';
import { httpCall, startLogins } from './http-call.js';

const APP = 'https://app.example.com';
const COOKIE = '__Host-holdfast=hfr1.k.presented';
/** What a page of the application sends. */
const PAGE = { Origin: APP, 'X-Holdfast': '1' };
const PRESENTED = { kind: 'refresh_token', token: 'hfr1.k.presented', isGone: expect.any(Function) };
const CLEARED = ['__Host-holdfast=; Max-Age=0; Path=/; HttpOnly; Secure; SameSite=Strict'];
const { refresh_token: REFRESH_TOKEN, ...SHOWN } = TOKENS;

describe('exchange', () => {
  it('gives a page the cookie, and no refresh token to read', async () => {
    const nowMs = EXPIRES_AT - 90_500;
    const clock = { wallMs: () => nowMs, monotonicMs: () => performance.now() };
    const { call, logins } = await startLogins({ clock });
    // The cookie of an earlier login is in no page's power and must not stop the next one.
    const headers = { ...PAGE, Cookie: COOKIE };
    const answer = await call('/v1/auth/exchange', { headers, body: { login_code: 'hfc_x' } });
    expect([answer.status, answer.body]).toEqual([200, SHOWN]);
    expect(answer.headers['set-cookie']).toEqual([
      `__Host-holdfast=${REFRESH_TOKEN}; Max-Age=91; Path=/; HttpOnly; Secure; SameSite=Strict`,
    ]);
    expect(logins.calls).toEqual([['exchange', 'hfc_x', APP]]);
  });

  it('gives others the refresh token, and no cookie', async () => {
    const { call, logins } = await startLogins();
    const answer = await call('/v1/auth/exchange', { body: { login_code: 'hfc_x' } });
    expect([answer.status, answer.body, answer.headers['set-cookie']]).toEqual([200, TOKENS, undefined]);
    expect(logins.calls).toEqual([['exchange', 'hfc_x', undefined]]);
  });

  it('never gives a browser the refresh token, also where it hides its origin', async () => {
    const { call } = await startLogins();
    const headers = { 'Sec-Fetch-Site': 'same-origin', 'X-Holdfast': '1' };
    const answer = await call('/v1/auth/exchange', { headers, body: { login_code: 'hfc_x' } });
    expect(answer.body).toEqual(SHOWN);
    const elsewhere = { 'Sec-Fetch-Site': 'cross-site', 'X-Holdfast': '1' };
    const refused = await call('/v1/auth/exchange', { headers: elsewhere, body: { login_code: 'hfc_x' } });
    expect([refused.status, refused.body['code']]).toEqual([403, 'origin_not_allowed']);
  });
});

describe('refresh', () => {
  it('renews the cookie of a page', async () => {
    const { call, logins } = await startLogins();
    const answer = await call('/v1/auth/refresh', { method: 'POST', headers: { ...PAGE, Cookie: `a=b; ${COOKIE}` } });
    expect([answer.status, answer.body]).toEqual([200, SHOWN]);
    expect(answer.headers['set-cookie']?.[0]).toContain(`__Host-holdfast=${REFRESH_TOKEN}; Max-Age=`);
    expect(logins.calls).toEqual([['refresh', 'hfr1.k.presented']]);
  });

  it.each([
    ['the header', { method: 'POST', headers: { Authorization: 'Bearer hfr1.k.presented' } }],
    ['the body', { body: { refresh_token: 'hfr1.k.presented' } }],
    [
      'the body, beside cookies of others',
      { body: { refresh_token: 'hfr1.k.presented' }, headers: { Cookie: 'x=__Host-holdfast' } },
    ],
  ])('takes the token from %s, and gives its successor in JSON', async (_, options) => {
    const { call, logins } = await startLogins();
    const answer = await call('/v1/auth/refresh', options);
    expect([answer.status, answer.body, answer.headers['set-cookie']]).toEqual([200, TOKENS, undefined]);
    expect(logins.calls).toEqual([['refresh', 'hfr1.k.presented']]);
  });

  it('takes no other token', async () => {
    const { call, logins } = await startLogins();
    const answer = await call('/v1/auth/refresh', { method: 'POST', headers: { Authorization: 'Bearer a.b.c' } });
    expect([answer.status, answer.body['code']]).toEqual([401, 'invalid_refresh_token']);
    expect(logins.calls).toEqual([]);
  });

  it.each([
    ['login_ended', 401],
    ['refresh_token_reused', 401],
    ['invalid_refresh_token', 401],
    ['store_unavailable', 503],
  ] as const)('that fails with %s leaves the cookie alone: there may be a newer one', async (code, status) => {
    const { call, logins } = await startLogins();
    logins.error = new HoldfastError(code, 'refused');
    const headers = { ...PAGE, Cookie: COOKIE };
    const answer = await call('/v1/auth/refresh', { method: 'POST', headers });
    expect([answer.status, answer.headers['set-cookie']]).toEqual([status, undefined]);
    expect(answer.headers['access-control-allow-origin']).toBe(APP);
    const inBody = await call('/v1/auth/refresh', { headers: PAGE, body: { refresh_token: 'hfr1.k.presented' } });
    expect([inBody.status, inBody.headers['set-cookie']]).toEqual([status, undefined]);
  });
});

describe('what a credential is good for', () => {
  it('logout takes the cookie away with the login', async () => {
    const { call, logins } = await startLogins();
    const answer = await call('/v1/auth/logout', { method: 'POST', headers: { ...PAGE, Cookie: COOKIE } });
    expect([answer.status, answer.text, answer.headers['set-cookie']]).toEqual([204, '', CLEARED]);
    const bearer = await call('/v1/auth/logout', { method: 'POST', headers: { Authorization: 'Bearer a.b.c' } });
    expect([bearer.status, bearer.headers['set-cookie']]).toEqual([204, undefined]);
    expect(logins.calls).toEqual([
      ['logout', PRESENTED],
      ['logout', { kind: 'bearer', token: 'a.b.c' }],
    ]);
  });

  it('a ticket is for the origin that asked', async () => {
    const { call, logins } = await startLogins();
    const answer = await call('/v1/auth/ticket', { method: 'POST', headers: { ...PAGE, Cookie: COOKIE } });
    expect([answer.status, answer.body]).toEqual([200, { ticket: 'hft_ticket', expires_at: EXPIRES_AT }]);
    const headers = { Authorization: 'bearer  a.b.c', Cookie: 'theme=dark' };
    expect((await call('/v1/auth/ticket', { method: 'POST', headers })).status).toBe(200);
    expect(logins.calls).toEqual([
      ['ticket', PRESENTED, APP],
      ['ticket', { kind: 'bearer', token: 'a.b.c' }, undefined],
    ]);
  });

  it('me shows the login, with its attributes', async () => {
    const { call } = await startLogins();
    const headers = { Cookie: COOKIE, 'X-Holdfast': '1', 'Sec-Fetch-Site': 'same-origin' };
    const answer = await call('/v1/auth/me', { headers });
    expect([answer.status, answer.body, answer.headers['cache-control']]).toEqual([200, VIEW, 'no-store']);
  });

  it('upstream gives a token to pages only where it may', async () => {
    const { call, logins } = await startLogins();
    const options = { method: 'POST', headers: { Authorization: 'Bearer a.b.c' } };
    const answer = await call('/v1/auth/upstream', options);
    expect(answer.body).toEqual({ access_token: 'upstream-token', token_type: 'Bearer', scope: 'read' });
    logins.upstream = { ...logins.upstream, expose: false };
    const refused = await call('/v1/auth/upstream', options);
    expect([refused.status, refused.body['code']]).toEqual([403, 'forbidden']);
    expect(refused.text).not.toContain('upstream-token');
  });

  it('none is 401, and a proxy’s own scheme is none', async () => {
    const { call } = await startLogins();
    for (const headers of [{}, { Authorization: 'Basic eDp5' }]) {
      const answer = await call('/v1/auth/me', { headers });
      expect([answer.status, answer.body['code']]).toEqual([401, 'unauthorized']);
      expect(answer.headers['www-authenticate']).toBe('Bearer');
    }
  });

  it('a refused one is 401 with a challenge that says so', async () => {
    const { call, logins } = await startLogins();
    logins.error = new HoldfastError('invalid_credential', 'refused');
    const answer = await call('/v1/auth/me', { headers: { Authorization: 'Bearer a.b.c' } });
    expect([answer.status, answer.headers['www-authenticate']]).toEqual([401, 'Bearer error="invalid_token"']);
  });
});

describe('CORS', () => {
  it('answers the preflight of an allowed origin', async () => {
    const { call, logins } = await startLogins();
    const headers = { Origin: APP, 'Access-Control-Request-Method': 'POST' };
    const answer = await call('/v1/auth/refresh', { method: 'OPTIONS', headers });
    expect([answer.status, answer.text]).toEqual([204, '']);
    expect(answer.headers).toMatchObject({
      'access-control-allow-origin': APP,
      'access-control-allow-credentials': 'true',
      'access-control-allow-methods': 'GET, POST',
      'access-control-allow-headers': 'Authorization, Content-Type, Idempotency-Key, X-Holdfast',
      'cache-control': 'no-store',
      vary: 'Origin',
    });
    expect(logins.calls).toEqual([]);
  });

  it('lets pages of this machine in for development', async () => {
    const { call } = await startLogins({ origins: { allowed: [], allowLoopback: true } });
    const headers = { Origin: 'http://localhost:5173', 'X-Holdfast': '1', Cookie: COOKIE };
    const answer = await call('/v1/auth/me', { headers });
    expect([answer.status, answer.headers['access-control-allow-origin']]).toEqual([200, 'http://localhost:5173']);
  });
});

describe('which routes there are', () => {
  const ROUTES = ['exchange', 'refresh', 'logout', 'ticket', 'me', 'upstream'].map((name) => `/v1/auth/${name}`);

  it('none without logins', async () => {
    const { port } = await startGateway();
    for (const path of [...ROUTES, '/v1/logins', '/v1/principals/alice/logins', '/.well-known/jwks.json']) {
      expect((await httpCall(port, path, { body: {} })).body['code']).toBe('not_found');
    }
  });

  it('with nothing but JWTs of the application, those that JWTs are good for', async () => {
    const { call } = await startLogins({ managesLogins: false });
    const answers = await Promise.all(ROUTES.map(async (path) => (await call(path, { body: {} })).status));
    expect(answers).toEqual([404, 404, 404, 401, 404, 404]);
    expect((await call('/v1/logins', { body: {} })).status).toBe(404);
    expect((await call('/v1/principals/alice/disconnect', { body: {} })).status).toBe(401);
  });

  it('the key set, for everyone and for a while', async () => {
    const { call } = await startLogins();
    const answer = await call('/.well-known/jwks.json');
    expect([answer.status, answer.body]).toEqual([200, { keys: [{ kid: 'k' }] }]);
    expect(answer.headers).toMatchObject({
      'cache-control': 'public, max-age=300',
      'access-control-allow-origin': '*',
      'x-content-type-options': 'nosniff',
    });
  });

  it.each(ROUTES)('%s says which methods it has', async (path) => {
    const { call } = await startLogins();
    const answer = await call(path, { method: 'DELETE' });
    expect([answer.status, answer.body['code']]).toEqual([405, 'method_not_allowed']);
    expect(answer.headers['allow']).toBe(path.endsWith('/me') ? 'GET, HEAD' : 'POST');
  });
});
