import { once } from 'node:events';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { get, type IncomingMessage } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { HoldfastError } from '../../src/protocol/errors.js';
import { API_KEY, rawSocket, startGateway } from './gateway.js';

const KEY = { authorization: `Bearer ${API_KEY}` };

async function call(port: number, path: string, init: RequestInit = {}) {
  const response = await fetch(`http://127.0.0.1:${port}${path}`, init);
  const text = await response.text();
  const body: unknown = text.startsWith('{') ? JSON.parse(text) : text;
  return { status: response.status, headers: response.headers, body };
}

const DELETE = { method: 'DELETE', headers: KEY };

const put = (body: unknown, headers: Record<string, string> = KEY): RequestInit => ({
  method: 'PUT',
  headers: { 'content-type': 'application/json', ...headers },
  body: typeof body === 'string' ? body : JSON.stringify(body),
});

describe('backend routes', () => {
  it('show, give and take ownership', async () => {
    const { port, sessions } = await startGateway();
    const shown = await call(port, '/v1/sessions/doc:1', { headers: KEY });
    expect(shown).toMatchObject({ status: 200, body: { session_id: 'doc:1', state: 'free' } });
    expect(shown.headers.get('cache-control')).toBe('no-store');
    expect(shown.headers.get('x-content-type-options')).toBe('nosniff');
    expect(shown.headers.get('x-powered-by')).toBeNull();
    expect(await call(port, '/v1/sessions/s/owner', put({ connection_id: 'c_1' }))).toMatchObject({
      status: 200,
      body: { state: 'owned', connection_id: 'c_1' },
    });
    expect(await call(port, '/v1/sessions/s/owner', put({ principal: 'alice', more: 1 }))).toMatchObject({
      status: 200,
      body: { principal: 'alice' },
    });
    expect(await call(port, '/v1/sessions/s/owner', DELETE)).toMatchObject({ status: 200 });
    const removal = '/v1/sessions/s/subscriptions?principal=alice';
    expect(await call(port, removal, DELETE)).toMatchObject({ status: 204 });
    expect(sessions.calls).toEqual([
      'inspect doc:1',
      'give s',
      'give s',
      'remove s',
      'unsubscribe {"principal":"alice"} s',
    ]);
  });

  it.each([
    ['no key', {}],
    ['a wrong key', { authorization: 'Bearer wrong' }],
    ['a key of another scheme', { authorization: `Basic ${API_KEY}` }],
    ['a part of the key', { authorization: `Bearer ${API_KEY.slice(0, -1)}` }],
  ])('refuse %s', async (_, headers) => {
    const { port, sessions } = await startGateway();
    const { status, headers: answered, body } = await call(port, '/v1/sessions/s', { headers });
    expect(status).toBe(401);
    expect(answered.get('www-authenticate')).toBe('Bearer');
    expect(body).toMatchObject({ code: 'unauthorized', retryable: false });
    expect(sessions.calls).toEqual([]);
  });

  it('refuse everyone where there is no key, and an empty one', async () => {
    const { port } = await startGateway({ apiKeyHashes: [] });
    const detail = 'This gateway has no API key';
    expect(await call(port, '/v1/sessions/s', { headers: KEY })).toMatchObject({ status: 401, body: { detail } });
    expect((await call(port, '/v1/sessions/s', { headers: { authorization: 'Bearer ' } })).status).toBe(401);
  });

  it('refuse browsers, with the right key too', async () => {
    const { port } = await startGateway();
    const headers = { ...KEY, origin: 'https://app.example.com' };
    expect(await call(port, '/v1/sessions/s', { headers })).toMatchObject({ status: 403, body: { code: 'forbidden' } });
  });

  it.each<[string, RequestInit, number, object]>([
    ['/v1/sessions/a%2Fb', { headers: KEY }, 400, { code: 'invalid_field', field: 'session_id' }],
    ['/v1/sessions/%ff', { headers: KEY }, 400, { code: 'invalid_field', field: 'path' }],
    ['/v1/sessions/s/owner', put({}), 400, { code: 'invalid_field', field: 'body' }],
    ['/v1/sessions/s/owner', put({ connection_id: 'c_1', principal: 'x' }), 400, { field: 'body' }],
    ['/v1/sessions/s/owner', put({ connection_id: 1 }), 400, { field: 'connection_id' }],
    ['/v1/sessions/s/owner', put('{"principal":'), 400, { field: 'body' }],
    ['/v1/sessions/s/owner', put({ principal: 'a' }, { ...KEY, 'content-type': 'text/plain' }), 400, { field: 'body' }],
    ['/v1/sessions/s/owner', put({ principal: 'x'.repeat(20_000) }), 413, { code: 'payload_too_large' }],
    ['/v1/sessions/s', { method: 'POST', headers: KEY }, 405, { code: 'method_not_allowed' }],
    ['/v1/sessions/s/owner', { headers: KEY }, 405, { code: 'method_not_allowed' }],
    ['/v1/sessions/s/subscriptions?connectionid=c_1', DELETE, 400, { code: 'invalid_field', field: 'query' }],
    ['/v1/sessions/s/subscriptions?principal=x&connectionid=c_1', DELETE, 400, { field: 'query' }],
    ['/v1/sessions/s/else', { headers: KEY }, 404, { code: 'not_found' }],
    ['/', {}, 404, { code: 'not_found' }],
    ['/v1/connect', {}, 426, { code: 'upgrade_required' }],
  ])('%s answers a problem', async (path, init, status, problem) => {
    const { port, sessions } = await startGateway();
    const answer = await call(port, path, init);
    expect(answer.status).toBe(status);
    expect(answer.headers.get('content-type')).toBe('application/problem+json');
    expect(answer.headers.get('x-content-type-options')).toBe('nosniff');
    expect(answer.body).toMatchObject({ status, type: 'about:blank', ...problem });
    expect(sessions.calls).toEqual([]);
  });

  it('say which methods are possible', async () => {
    const { port } = await startGateway();
    const { headers } = await call(port, '/v1/sessions/s/owner', { method: 'POST', headers: KEY });
    expect(headers.get('allow')).toBe('PUT, DELETE');
  });

  it('pass errors on, with Retry-After', async () => {
    const { port, sessions } = await startGateway();
    sessions.error = new HoldfastError('store_unavailable', 'away', { retryAfterMs: 1200 });
    const { status, headers, body } = await call(port, '/v1/sessions/s', { headers: KEY });
    expect([status, headers.get('retry-after')]).toEqual([503, '2']);
    expect(body).toMatchObject({ code: 'store_unavailable', retryable: true, retry_after_ms: 1200, detail: 'away' });
  });

  it('tell nothing of unexpected errors', async () => {
    const { port, sessions } = await startGateway();
    sessions.error = new Error('secret details');
    const { status, body } = await call(port, '/v1/sessions/s', { headers: KEY });
    expect(status).toBe(500);
    expect(JSON.stringify(body)).not.toMatch(/secret|\.ts/);
  });
});

describe('the page', () => {
  it('is served under a content security policy, and nothing beside it', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'page-'));
    writeFileSync(join(directory, 'index.html'), '<title>page</title>');
    writeFileSync(join(directory, 'app.js'), 'export {};');
    writeFileSync(join(directory, '.env'), 'secret');
    const { port } = await startGateway({ page: [{ path: '/', directory }] });
    const { status, headers, body } = await call(port, '/');
    expect([status, body]).toEqual([200, '<title>page</title>']);
    expect(headers.get('content-security-policy')).toContain("default-src 'self'");
    expect((await call(port, '/app.js')).headers.get('content-type')).toContain('javascript');
    for (const path of ['/.env', '/../package.json', '/%2e%2e/%2e%2e/etc/passwd', '/missing.js']) {
      expect((await call(port, path)).status).toBe(404);
    }
  });
});

it('closes a connection that sends no request, or half of one', async () => {
  const { port } = await startGateway({ requestTimeoutMs: 200 });
  const silent = await rawSocket(port);
  const slow = await rawSocket(port);
  slow.write('GET /v1/connect HTTP/1.1\r\nHost:');
  silent.resume();
  slow.resume();
  await Promise.all([once(silent, 'close'), once(slow, 'close')]);
});

describe('the client as a script', () => {
  const script = Buffer.from(`var Holdfast = { text: '${'x'.repeat(2_000)}' };`);

  it.each(['br', 'gzip', 'identity'])('comes with content encoding %s, for pages of any origin', async (encoding) => {
    const { port } = await startGateway({ clientScript: script });
    const { status, headers, body } = await call(port, '/holdfast.js', { headers: { 'accept-encoding': encoding } });
    expect({ status, body }).toEqual({ status: 200, body: script.toString() });
    expect(headers.get('content-encoding') ?? 'identity').toBe(encoding);
    expect(headers.get('content-type')).toBe('text/javascript; charset=utf-8');
    expect(headers.get('access-control-allow-origin')).toBe('*');
  });

  it('is sent again only after it changed', async () => {
    const { port } = await startGateway({ clientScript: script });
    const { headers } = await call(port, '/holdfast.js');
    // Not by fetch, which asks for a fresh copy when it is given the header.
    const request = get({ port, path: '/holdfast.js', headers: { 'if-none-match': headers.get('etag') ?? '' } });
    const [again] = (await once(request, 'response')) as [IncomingMessage];
    again.resume();
    expect(again.statusCode).toBe(304);
    expect(await call(port, '/holdfast.js', { method: 'POST' })).toMatchObject({ status: 405 });
  });

  it('is not there where it was not built', async () => {
    const { port } = await startGateway();
    expect(await call(port, '/holdfast.js')).toMatchObject({ status: 404 });
  });
});
