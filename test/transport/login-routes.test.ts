import { describe, expect, it } from 'vitest';
import { LOGIN_ID, TOKENS, VIEW } from './fake-login-api.js';
import { API_KEY } from './gateway.js';
import { type HttpCall, startLogins } from './http-call.js';

const KEY = { Authorization: `Bearer ${API_KEY}` };
const ONE = `/v1/logins/${LOGIN_ID}`;
const LATER = 1_900_000_000_000;
const VALUE = 'x'.repeat(43);
const DPOP_KEY = { kty: 'EC', crv: 'P-256', x: VALUE, y: VALUE, d: VALUE };

async function startBackend(changes = {}) {
  const { call, ...rest } = await startLogins(changes);
  return {
    ...rest,
    call: (path: string, options: HttpCall = {}) => call(path, { ...options, headers: { ...KEY, ...options.headers } }),
  };
}

describe('POST /v1/logins', () => {
  it('hands on what the application gave', async () => {
    const { call, logins } = await startBackend();
    const body = {
      principal: 'alice',
      login_id: LOGIN_ID,
      attributes: { plan: 'free', nested: [1] },
      rights: [{ sessions: 'doc:*', allow: ['watch', 'watch'] }],
      expires_at: LATER,
      origin: 'https://app.example.com',
      upstream: { provider: 'mail', refresh_token: 'theirs', dpop_key: DPOP_KEY },
    };
    const answer = await call('/v1/logins', { body: { ...body, more: 1 }, headers: { 'Idempotency-Key': 'order-7' } });
    expect([answer.status, answer.body]).toEqual([201, { ...TOKENS, login_code: 'hfc_code' }]);
    expect(answer.headers).toMatchObject({ location: ONE, 'cache-control': 'no-store' });
    const rights = [{ sessions: 'doc:*', allow: ['watch'] }];
    expect(logins.calls).toEqual([['create', { ...body, rights, idempotencyKey: 'order-7' }]]);
  });

  it('needs a principal and nothing else', async () => {
    const { call, logins } = await startBackend();
    expect((await call('/v1/logins', { body: { principal: 'alice' } })).status).toBe(201);
    expect(logins.calls).toEqual([['create', { principal: 'alice' }]]);
  });

  it.each<[string, object]>([
    ['principal', {}],
    ['principal', { principal: ' alice' }],
    ['principal', { principal: 'anon:1' }],
    ['principal', { principal: '..' }],
    ['principal', { principal: '\ud800' }],
    ['principal', { principal: 'x'.repeat(257) }],
    ['login_id', { login_id: 'short' }],
    ['login_id', { login_id: `${'x'.repeat(31)}/` }],
    ['attributes', { attributes: [] }],
    ['attributes', { attributes: { a: 'x'.repeat(4_089) } }],
    ['attributes', { attributes: { a: 'ü'.repeat(2_045) } }],
    ['rights', { rights: [{ sessions: 'doc:*', allow: ['rule'] }] }],
    ['rights', { rights: 'all' }],
    // That node would be gone for minutes, were runs of * matched in all the ways in which they can be divided.
    ['rights', { rights: [{ sessions: `${'*'.repeat(15_000)}a*a*a*a*a`, allow: ['watch'] }] }],
    ['rights', { rights: Array.from({ length: 40 }, () => ({ sessions: 'x'.repeat(100), allow: ['watch'] })) }],
    ['expires_at', { expires_at: 1_900_000_000 }],
    ['expires_at', { expires_at: String(LATER) }],
    ['origin', { origin: 'https://evil.example' }],
    ['upstream', { upstream: 'theirs' }],
    ['upstream.refresh_token', { upstream: {} }],
    ['upstream.provider', { upstream: { provider: 'a b', refresh_token: 'theirs' } }],
    ...[null, 'jwk', [], {}, { ...DPOP_KEY, d: undefined }, { ...DPOP_KEY, d: `${VALUE}x` }, { ...DPOP_KEY, y: 7 }].map(
      (key): [string, object] => ['upstream.dpop_key', { upstream: { refresh_token: 'theirs', dpop_key: key } }],
    ),
    ['upstream.dpop_key', { upstream: { refresh_token: 'theirs', dpop_key: { ...DPOP_KEY, crv: 'P-384' } } }],
  ])('refuses a wrong %s: %j', async (field, wrong) => {
    const { call, logins } = await startBackend();
    const principal = field === 'principal' ? {} : { principal: 'alice' };
    const answer = await call('/v1/logins', { body: { ...principal, ...wrong } });
    expect([answer.status, answer.body['code'], answer.body['field']]).toEqual([400, 'invalid_field', field]);
    expect(logins.calls).toEqual([]);
  });

  it('refuses attributes that are nested too deep to be written', async () => {
    const { call } = await startBackend();
    const body = `{"principal":"alice","attributes":{"a":${'['.repeat(7_900)}${']'.repeat(7_900)}}}`;
    const answer = await call('/v1/logins', { body, headers: { 'Content-Type': 'application/json' } });
    expect([answer.status, answer.body['field']]).toEqual([400, 'attributes']);
  });

  it('takes attributes of 4096 bytes', async () => {
    const { call } = await startBackend();
    const attributes = { a: 'x'.repeat(4_088) };
    expect((await call('/v1/logins', { body: { principal: 'alice', attributes } })).status).toBe(201);
  });

  it.each(['', 'two words', 'x'.repeat(256), 'schlüssel'])('refuses the Idempotency-Key %j', async (key) => {
    const { call, logins } = await startBackend();
    const headers = { 'Idempotency-Key': key };
    const answer = await call('/v1/logins', { body: { principal: 'alice' }, headers });
    expect([answer.status, answer.body['field']]).toEqual([400, 'Idempotency-Key']);
    expect(logins.calls).toEqual([]);
  });
});

describe('the routes of a login', () => {
  it.each<[string, HttpCall, number, object, unknown[]]>([
    [ONE, {}, 200, VIEW, ['get', LOGIN_ID]],
    [
      ONE,
      { method: 'PATCH', body: { expires_at: LATER } },
      200,
      { ...VIEW, expires_at: LATER },
      ['patch', LOGIN_ID, { expires_at: LATER }],
    ],
    [ONE, { method: 'DELETE' }, 200, { ...VIEW, state: 'revoked' }, ['revoke', LOGIN_ID]],
    [`${ONE}/events`, {}, 200, { events: [{ kind: 'created' }] }, ['events', LOGIN_ID]],
    [
      `${ONE}/upstream`,
      { method: 'PUT', body: { refresh_token: 'theirs' } },
      204,
      {},
      ['putUpstream', LOGIN_ID, { refresh_token: 'theirs' }],
    ],
    [
      `${ONE}/upstream`,
      { method: 'PUT', body: { refresh_token: 'theirs', dpop_key: { ...DPOP_KEY, kid: 'k', alg: 'ES256' } } },
      204,
      {},
      ['putUpstream', LOGIN_ID, { refresh_token: 'theirs', dpop_key: DPOP_KEY }],
    ],
    [
      `${ONE}/upstream`,
      { method: 'POST' },
      200,
      { access_token: 'upstream-token', token_type: 'Bearer', scope: 'read' },
      ['upstreamTokenOf', LOGIN_ID],
    ],
    ['/v1/principals/a%2Fb%20c/logins', {}, 200, { logins: [VIEW] }, ['list', 'a/b c']],
    ['/v1/principals/alice/logins', { method: 'DELETE' }, 200, { revoked: 2 }, ['revokeAll', 'alice']],
    ['/v1/principals/alice/disconnect', { body: { not_before: LATER } }, 204, {}, ['disconnect', 'alice', LATER]],
  ])('%s %j', async (path, options, status, body, asked) => {
    const { call, logins } = await startBackend();
    logins.upstream = { ...logins.upstream, expose: false };
    const answer = await call(path, options);
    expect([answer.status, answer.body]).toEqual([status, body]);
    expect(logins.calls).toEqual([asked]);
  });

  it('disconnect means now where no time is given', async () => {
    const { call, logins } = await startBackend({
      clock: { wallMs: () => LATER, monotonicMs: () => performance.now() },
    });
    expect((await call('/v1/principals/alice/disconnect', { method: 'POST' })).status).toBe(204);
    expect(logins.calls).toEqual([['disconnect', 'alice', LATER]]);
  });

  it.each<[string, HttpCall, number, object]>([
    [ONE, { method: 'PATCH', body: { expiresAt: LATER } }, 400, { field: 'body' }],
    [ONE, { method: 'PATCH', body: { attributes: null } }, 400, { field: 'attributes' }],
    ['/v1/logins/short', {}, 400, { field: 'login_id' }],
    [`${ONE}/upstream`, { method: 'PUT', body: {} }, 400, { field: 'refresh_token' }],
    ['/v1/principals/anon:1/logins', {}, 400, { field: 'principal' }],
    ['/v1/principals/%ff/logins', {}, 400, { code: 'invalid_field' }],
    ['/v1/principals/alice/disconnect', { body: { not_before: 1_900_000_000 } }, 400, { field: 'not_before' }],
    ['/v1/principals/alice', {}, 404, { code: 'not_found' }],
    [ONE, { body: {} }, 405, { code: 'method_not_allowed' }],
    ['/v1/logins', {}, 405, { code: 'method_not_allowed' }],
    [ONE, { headers: { Origin: 'https://app.example.com' } }, 403, { code: 'forbidden' }],
    [ONE, { headers: { Authorization: 'Bearer hfr1.k.token' } }, 401, { code: 'unauthorized' }],
    ['/v1/principals/alice/logins', { headers: { Authorization: 'Bearer a.b.c' } }, 401, { code: 'unauthorized' }],
  ])('%s %j is refused', async (path, options, status, problem) => {
    const { call, logins } = await startBackend();
    const answer = await call(path, options);
    expect([answer.status, answer.body]).toMatchObject([status, problem]);
    expect(logins.calls).toEqual([]);
  });
});
