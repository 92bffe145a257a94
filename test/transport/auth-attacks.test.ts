import { describe, expect, it } from 'vitest';
import { HoldfastError } from '../../src/protocol/errors.js';
import { API_KEY } from './gateway.js';
import { type HttpCall, startLogins } from './http-call.js';

const APP = 'https://app.example.com';
const SECRET = 'hfr1.k.a-secret-of-somebody';
const COOKIE = `__Host-holdfast=${SECRET}`;
const PAGE = { Origin: APP, 'X-Holdfast': '1' };

type Attack = [name: string, path: string, options: HttpCall, status: number, code: string];

const MULTIPLE: Attack[] = [
  ['two cookies in one header', '/v1/auth/refresh', { headers: { ...PAGE, Cookie: `${COOKIE}; ${COOKIE}x` } }, 400, ''],
  ['two Cookie headers', '/v1/auth/refresh', { headers: { ...PAGE, Cookie: [COOKIE, `${COOKIE}x`] } }, 400, ''],
  [
    'cookie and bearer',
    '/v1/auth/ticket',
    { headers: { ...PAGE, Cookie: COOKIE, Authorization: 'Bearer x' } },
    400,
    '',
  ],
  [
    'cookie and body',
    '/v1/auth/logout',
    { headers: { ...PAGE, Cookie: COOKIE }, body: { refresh_token: SECRET } },
    400,
    '',
  ],
  [
    'bearer and body',
    '/v1/auth/logout',
    { headers: { Authorization: 'Bearer x' }, body: { refresh_token: SECRET } },
    400,
    '',
  ],
  ['two bearers', '/v1/auth/ticket', { headers: { Authorization: ['Bearer x', `Bearer ${SECRET}`] } }, 400, ''],
  [
    'a proxy’s Basic before a bearer',
    '/v1/auth/ticket',
    { headers: { Authorization: ['Basic x', 'Bearer x'] } },
    400,
    '',
  ],
  [
    'login code and bearer',
    '/v1/auth/exchange',
    { headers: { Authorization: 'Bearer x' }, body: { login_code: SECRET } },
    400,
    '',
  ],
  [
    'login code and refresh token',
    '/v1/auth/exchange',
    { body: { login_code: SECRET, refresh_token: SECRET } },
    400,
    '',
  ],
].map(([name, path, options, status]) => [name, path, options, status, 'multiple_credentials'] as Attack);

const FOREIGN = [
  'null',
  'https://app.example.com.evil.example',
  'https://evil-app.example.com',
  'https://app.example.com:444',
  'https://app.example.com:443',
  'http://app.example.com',
  'https://app.example.com/',
  'https://APP.example.com',
  'https://app.example.com, https://evil.example',
  'http://localhost:5173',
  '',
];

const FORGED: Attack[] = [
  [
    'a cookie without the header',
    '/v1/auth/logout',
    { headers: { Origin: APP, Cookie: COOKIE } },
    403,
    'missing_header',
  ],
  [
    'an empty header',
    '/v1/auth/logout',
    { headers: { Origin: APP, Cookie: COOKIE, 'X-Holdfast': '' } },
    403,
    'missing_header',
  ],
  [
    'a page’s exchange without the header',
    '/v1/auth/exchange',
    { headers: { Origin: APP }, body: { login_code: SECRET } },
    403,
    'missing_header',
  ],
  [
    'a cookie without any origin',
    '/v1/auth/logout',
    { headers: { 'X-Holdfast': '1', Cookie: COOKIE } },
    403,
    'origin_not_allowed',
  ],
  [
    'a sibling site, told by the browser alone',
    '/v1/auth/logout',
    { headers: { 'X-Holdfast': '1', Cookie: COOKIE, 'Sec-Fetch-Site': 'same-site' } },
    403,
    'origin_not_allowed',
  ],
  [
    'a form',
    '/v1/auth/logout',
    { headers: { ...PAGE, Cookie: COOKIE, 'Content-Type': 'application/x-www-form-urlencoded' }, body: 'a=b' },
    400,
    'invalid_field',
  ],
  [
    'JSON as text',
    '/v1/auth/refresh',
    { headers: { 'Content-Type': 'text/plain' }, body: `{"refresh_token":"${SECRET}"}` },
    400,
    'invalid_field',
  ],
  ['JSON without a type', '/v1/auth/refresh', { body: `{"refresh_token":"${SECRET}"}` }, 400, 'invalid_field'],
];

const MALFORMED: Attack[] = [
  ['an array', '/v1/auth/refresh', { body: [SECRET] }, 400, 'invalid_field'],
  [
    'half of a JSON text',
    '/v1/auth/refresh',
    { headers: { 'Content-Type': 'application/json' }, body: `{"refresh_token":"${SECRET}` },
    400,
    'invalid_field',
  ],
  ['a token that is no text', '/v1/auth/refresh', { body: { refresh_token: { a: SECRET } } }, 400, 'invalid_field'],
  ['an empty token', '/v1/auth/refresh', { body: { refresh_token: '' } }, 400, 'invalid_field'],
  [
    'a token from the prototype',
    '/v1/auth/refresh',
    { headers: { 'Content-Type': 'application/json' }, body: `{"__proto__":{"refresh_token":"${SECRET}"}}` },
    401,
    'unauthorized',
  ],
  [
    'a megabyte of token',
    '/v1/auth/refresh',
    { body: { refresh_token: SECRET + 'x'.repeat(2 ** 20) } },
    413,
    'payload_too_large',
  ],
  ['a code that is no text', '/v1/auth/exchange', { body: { login_code: [SECRET] } }, 400, 'invalid_field'],
  ['no code', '/v1/auth/exchange', { body: {} }, 400, 'invalid_field'],
  [
    'a secret in the path',
    `/v1/auth/${SECRET}?token=${SECRET}`,
    { headers: { Authorization: `Bearer ${SECRET}` } },
    404,
    'not_found',
  ],
  ['an API key', '/v1/auth/refresh', { headers: { Authorization: `Bearer ${API_KEY}` } }, 401, 'invalid_refresh_token'],
];

describe('logins are not reached by', () => {
  it.each([...MULTIPLE, ...FORGED, ...MALFORMED])('%s', async (_, path, options, status, code) => {
    const { call, logins } = await startLogins();
    const answer = await call(path, { method: 'POST', ...options });
    expect([answer.status, answer.body['code']]).toEqual([status, code]);
    expect(answer.headers).toMatchObject({ 'content-type': 'application/problem+json', 'cache-control': 'no-store' });
    expect(answer.headers['set-cookie']).toBeUndefined();
    expect(answer.text).not.toContain('a-secret-of-somebody');
    expect(logins.calls).toEqual([]);
  });

  it.each(FOREIGN)('pages of origin %j, whatever they present', async (origin) => {
    const { call, logins } = await startLogins();
    const tries: HttpCall[] = [
      { method: 'POST', headers: { Origin: origin, 'X-Holdfast': '1', Cookie: COOKIE } },
      { method: 'POST', headers: { Origin: origin, Authorization: 'Bearer a.b.c' } },
      { method: 'OPTIONS', headers: { Origin: origin, 'Access-Control-Request-Method': 'POST' } },
    ];
    for (const options of tries) {
      const answer = await call('/v1/auth/ticket', options);
      expect([answer.status, answer.body['code']]).toEqual([403, 'origin_not_allowed']);
      expect(answer.headers['access-control-allow-origin']).toBeUndefined();
      expect(answer.headers['vary']).toBe('Origin');
    }
    expect(logins.calls).toEqual([]);
  });

  it('a megabyte of header', async () => {
    const { call, logins } = await startLogins();
    const Authorization = `Bearer ${'x'.repeat(2 ** 20)}`;
    // The node answers 431 and closes; a client that still writes may see only the close.
    const status = await call('/v1/auth/me', { headers: { Authorization } }).then(
      (answer) => answer.status,
      (error: NodeJS.ErrnoException) => error.code,
    );
    expect([431, 'ECONNRESET', 'EPIPE']).toContain(status);
    expect(logins.calls).toEqual([]);
  });
});

describe('of what is ambiguous', () => {
  it('the last of two JSON keys counts, and nothing looks at the first', async () => {
    const { call, logins } = await startLogins();
    const headers = { 'Content-Type': 'application/json' };
    await call('/v1/auth/refresh', { headers, body: '{"refresh_token":"hfr1.first","refresh_token":"hfr1.last"}' });
    await call('/v1/auth/refresh', { headers, body: '{"refresh_token":{"a":1},"refresh_token":"hfr1.last"}' });
    const refused = await call('/v1/auth/refresh', {
      headers,
      body: '{"refresh_token":"hfr1.first","refresh_token":1}',
    });
    expect(refused.status).toBe(400);
    expect(logins.calls).toEqual([
      ['refresh', 'hfr1.last'],
      ['refresh', 'hfr1.last'],
    ]);
  });

  it('cookies whose names only look alike are none', async () => {
    const { call, logins } = await startLogins();
    const Cookie = `\u00a0__Host-holdfast=x; __Host-holdfast\u00a0=x; __host-holdfast=x; holdfast=x; x__Host-holdfast=x; __Host-holdfastx=x; ${COOKIE}`;
    await call('/v1/auth/refresh', { method: 'POST', headers: { ...PAGE, Cookie } });
    expect(logins.calls).toEqual([['refresh', SECRET]]);
  });
});

describe('problems', () => {
  it('tell nothing of what was presented or went wrong', async () => {
    const { call, logins } = await startLogins();
    logins.error = new Error(`cannot store ${SECRET}`);
    const answer = await call('/v1/auth/refresh', { body: { refresh_token: SECRET } });
    expect([answer.status, answer.body['code']]).toEqual([500, 'internal']);
    expect(answer.text).not.toContain('a-secret-of-somebody');
  });

  it.each(['store_unavailable', 'upstream_busy', 'upstream_unavailable'] as const)(
    '%s is 503 with Retry-After, for every credential and nobody is logged out',
    async (code) => {
      const { call, logins } = await startLogins();
      logins.error = new HoldfastError(code, 'away');
      for (const path of ['refresh', 'ticket', 'logout', 'upstream'].map((name) => `/v1/auth/${name}`)) {
        const answer = await call(path, { method: 'POST', headers: { ...PAGE, Cookie: COOKIE } });
        expect([answer.status, answer.headers['retry-after']]).toEqual([503, '1']);
        expect(answer.body).toMatchObject({ retryable: true, retry_after_ms: 1_000 });
        expect(answer.headers['set-cookie']).toBeUndefined();
      }
    },
  );
});
