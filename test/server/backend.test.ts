import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Backend, createBackend, HoldfastError } from '../../src/server/index.js';
import { FakeGateway, refusal } from './fake-gateway.js';

const KEY = 'an-api-key-of-the-test';
const gateway = new FakeGateway();
let backend: Backend;

beforeAll(() => gateway.start());
afterAll(() => gateway.server?.stop());
beforeEach(() => {
  gateway.received.length = 0;
  gateway.replies.length = 0;
  backend = createBackend({ url: `${gateway.url}/`, apiKey: KEY, requestTimeoutMs: 300, timeoutMs: 3_000 });
});

describe('the backend client', () => {
  const calls: [string, () => Promise<unknown>, string, object | undefined][] = [
    ['createLogin', () => backend.createLogin({ principal: 'alice' }), 'POST /v1/logins', { principal: 'alice' }],
    ['getLogin', () => backend.getLogin('login_1'), 'GET /v1/logins/login_1', undefined],
    [
      'patchLogin',
      () => backend.patchLogin('login_1', { attributes: { a: 1 } }),
      'PATCH /v1/logins/login_1',
      { attributes: { a: 1 } },
    ],
    ['revokeLogin', () => backend.revokeLogin('login_1'), 'DELETE /v1/logins/login_1', undefined],
    ['loginEvents', () => backend.loginEvents('login_1'), 'GET /v1/logins/login_1/events', undefined],
    ['listLogins', () => backend.listLogins('a/b c?'), 'GET /v1/principals/a%2Fb%20c%3F/logins', undefined],
    ['revokeAllLogins', () => backend.revokeAllLogins('alice'), 'DELETE /v1/principals/alice/logins', undefined],
    [
      'disconnect',
      () => backend.disconnect('alice', 1_900_000_000_000),
      'POST /v1/principals/alice/disconnect',
      { not_before: 1_900_000_000_000 },
    ],
    [
      'setUpstream',
      () => backend.setUpstream('login_1', { refresh_token: 'r', dpop_key: { kty: 'EC', d: 'x' } }),
      'PUT /v1/logins/login_1/upstream',
      { refresh_token: 'r', dpop_key: { kty: 'EC', d: 'x' } },
    ],
    ['upstreamToken', () => backend.upstreamToken('login_1'), 'POST /v1/logins/login_1/upstream', undefined],
    ['getSession', () => backend.getSession('editor:1'), 'GET /v1/sessions/editor%3A1', undefined],
    [
      'setOwner',
      () => backend.setOwner('s', { principal: 'alice' }),
      'PUT /v1/sessions/s/owner',
      { principal: 'alice' },
    ],
    ['removeOwner', () => backend.removeOwner('s'), 'DELETE /v1/sessions/s/owner', undefined],
    [
      'removeSubscriptions',
      () => backend.removeSubscriptions('s', { principal: 'a&b' }),
      'DELETE /v1/sessions/s/subscriptions?principal=a%26b',
      undefined,
    ],
    [
      'publish',
      () => backend.publish('chat:1', { data: 'hi', idempotency_key: 'k', expected_offset: 3 }),
      'POST /v1/sessions/chat%3A1/messages',
      { data: 'hi', idempotency_key: 'k', expected_offset: 3 },
    ],
    [
      'publishMany',
      () => backend.publishMany([{ session_id: 's', bytes: 'AA==', idempotency_key: 'k' }]),
      'POST /v1/messages',
      { messages: [{ session_id: 's', bytes: 'AA==', idempotency_key: 'k' }] },
    ],
    [
      'history',
      () => backend.history('s', { after: 0, limit: 5 }),
      'GET /v1/sessions/s/history?after=0&limit=5',
      undefined,
    ],
    ['truncate', () => backend.truncate('s', 40), 'DELETE /v1/sessions/s/history?through=40', undefined],
    ['removeSession', () => backend.removeSession('s'), 'DELETE /v1/sessions/s', undefined],
  ];

  it.each(calls)('%s', async (_name, call, line, body) => {
    await call();
    const { method, url, headers, body: sent } = gateway.last;
    expect(`${method} ${url}`).toBe(line);
    expect(headers.authorization).toBe(`Bearer ${KEY}`);
    expect(headers.origin).toBeUndefined();
    expect(sent === '' ? undefined : JSON.parse(sent)).toEqual(body);
  });

  it('asks whose access token it is with that token and not with the key', async () => {
    await backend.loginOf('a.b.c');
    expect(gateway.last).toMatchObject({ method: 'GET', url: '/v1/auth/me' });
    expect(gateway.last.headers.authorization).toBe('Bearer a.b.c');
  });

  it.each(calls)('%s passes a refusal on as it is, and does not repeat it', async (_name, call) => {
    gateway.replies.push(refusal(409, 'login_exists', { field: 'login_id' }));
    const error = await call().catch((error: unknown) => error);
    expect(error).toBeInstanceOf(HoldfastError);
    expect(error).toMatchObject({ code: 'login_exists', message: 'it is login_exists', field: 'login_id' });
    expect(gateway.received).toHaveLength(1);
  });

  const REPEATABLE = new Set([
    'createLogin',
    'getLogin',
    'patchLogin',
    'revokeLogin',
    'loginEvents',
    'listLogins',
    'revokeAllLogins',
    'disconnect',
    'upstreamToken',
    'getSession',
    'publish',
    'publishMany',
    'history',
    'truncate',
  ]);

  it.each(calls)('%s is repeated after a lost answer where that is safe', async (name, call) => {
    gateway.replies.push({ breakOff: true }, refusal(503, 'store_unavailable'));
    const error = await call().catch((error: unknown) => error);
    if (REPEATABLE.has(name)) {
      expect(error).not.toBeInstanceOf(Error);
      expect(gateway.received.length).toBe(3);
      expect(new Set(gateway.received.map(({ body }) => body)).size).toBe(1);
    } else {
      expect(error).toMatchObject({ code: 'overloaded' });
      expect(gateway.received.length).toBe(1);
    }
  });

  it.each(calls)('%s is repeated when the gateway has not begun', async (_name, call) => {
    gateway.replies.push(refusal(429, 'rate_limited', { retry_after_ms: 50 }), refusal(503, 'draining'));
    await call();
    expect(gateway.received.length).toBe(3);
  });

  it('repeats a creation under one key, makes another key for another, and takes the caller’s', async () => {
    gateway.replies.push({ hang: true }, refusal(500, 'internal'));
    await backend.createLogin({ principal: 'alice' });
    await backend.createLogin({ principal: 'alice' });
    await backend.createLogin({ principal: 'alice' }, { idempotencyKey: 'mine' });
    const keys = gateway.received.map(({ headers }) => headers['idempotency-key']);
    expect(keys).toHaveLength(5);
    expect(new Set(keys.slice(0, 3)).size).toBe(1);
    expect(new Set(keys).size).toBe(3);
    expect(keys[4]).toBe('mine');
  });

  it('gives each message without a key one, the same at every try', async () => {
    gateway.replies.push({ breakOff: true }, { body: { results: [] } });
    await backend.publish('s', [{ data: 1 }, { data: 2, idempotency_key: 'mine' }]);
    const [lost, { messages }] = gateway.received.map(({ body }) => JSON.parse(body) as { messages: object[] }) as [
      object,
      { messages: { idempotency_key: string }[] },
    ];
    expect(lost).toEqual({ messages });
    expect(messages[0]?.idempotency_key).toMatch(/^[\w-]{22,}$/);
    expect(messages[1]?.idempotency_key).toBe('mine');
  });

  it('waits as long as the gateway asks, but not beyond the call’s end', async () => {
    gateway.replies.push(refusal(503, 'store_unavailable', { retry_after_ms: 400 }));
    const startMs = performance.now();
    await backend.getLogin('login_1');
    expect(performance.now() - startMs).toBeGreaterThanOrEqual(400);
    gateway.replies.push({ status: 503, headers: { 'Retry-After': '60' }, body: 'busy' });
    await expect(backend.getLogin('login_1')).rejects.toMatchObject({ code: 'internal', retryAfterMs: 60_000 });
    expect(gateway.received).toHaveLength(3);
  });

  it('gives up a gateway that answers nothing, and shows no key in the error', async () => {
    backend = createBackend({ url: gateway.url, apiKey: KEY, requestTimeoutMs: 100, timeoutMs: 400 });
    gateway.replies.push(...Array.from({ length: 20 }, () => ({ hang: true }) as const));
    const error = (await backend.getLogin('login_1').catch((error: unknown) => error)) as HoldfastError;
    expect(error).toMatchObject({ code: 'overloaded', retryable: true });
    expect(`${error.stack} ${JSON.stringify(error)}`).not.toContain(KEY);
    expect(gateway.received.length).toBeGreaterThan(1);
  });

  it.each([
    [404, 'not_found'],
    [401, 'unauthorized'],
    [418, 'invalid_field'],
  ])('gives %i of something else a code', async (status, code) => {
    gateway.replies.push({ status, body: '<html>' });
    await expect(backend.getLogin('login_1')).rejects.toMatchObject({ code });
  });

  it.each<[string, () => Promise<unknown>, object]>([
    ['a principal that is a step up', () => backend.listLogins('..'), { code: 'invalid_field', field: 'principal' }],
    ['a login id that is none', () => backend.revokeLogin(''), { code: 'invalid_field', field: 'login_id' }],
    ['a session that is no step', () => backend.getSession('.'), { code: 'invalid_field', field: 'session_id' }],
    ['text that is no token', () => backend.loginOf('令牌 令'), { code: 'invalid_credential' }],
    [
      'text that is no key',
      () => backend.createLogin({ principal: 'alice' }, { idempotencyKey: 'a\nb' }),
      { code: 'invalid_field', field: 'Idempotency-Key' },
    ],
    [
      'attributes that are no JSON',
      () => backend.createLogin({ principal: 'alice', attributes: { big: 1n } }),
      { name: 'TypeError' },
    ],
  ])('sends nothing for %s, and says so at once', async (_name, call, error) => {
    const startMs = performance.now();
    await expect(call()).rejects.toMatchObject(error);
    expect(performance.now() - startMs).toBeLessThan(500);
    expect(gateway.received).toEqual([]);
  });

  it('refuses options that cannot work', () => {
    expect(() => createBackend({ url: 'gateway', apiKey: KEY })).toThrow(TypeError);
    for (const apiKey of ['', 'two\nlines', 'schlüssel']) {
      expect(() => createBackend({ url: gateway.url, apiKey })).toThrow(/^(?!.*(lines|schl))/);
    }
    for (const more of ['/?a=b', '/#a']) {
      expect(() => createBackend({ url: gateway.url + more, apiKey: KEY })).toThrow(TypeError);
    }
    expect(() => createBackend({ url: 'https://user:pass@gateway.test', apiKey: KEY })).toThrow(TypeError);
  });
});
