import { request as httpRequest } from 'node:http';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import express, { type RequestHandler } from 'express';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { authProxy } from '../../src/server/index.js';
import { FakeGateway, refusal, TestServer } from './fake-gateway.js';

const gateway = new FakeGateway();
const servers: TestServer[] = [];
let proxy: TestServer;

async function serve(app: Parameters<typeof TestServer.start>[0]): Promise<TestServer> {
  const server = await TestServer.start(app);
  servers.push(server);
  return server;
}

beforeAll(() => gateway.start());
afterAll(() => gateway.server?.stop());
beforeEach(async () => {
  gateway.received.length = 0;
  gateway.replies.length = 0;
  const middleware = authProxy({ url: gateway.url, timeoutMs: 500 });
  proxy = await serve((request, response) => middleware(request, response));
});
afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.stop()));
});

const post = (path: string, init: RequestInit = {}) => fetch(`${proxy.url}${path}`, { method: 'POST', ...init });

/** Sends a path as it is, and of a body, where one is given, only the beginning. */
function raw(path: string, beginning?: string): Promise<{ status: number | undefined }> {
  return new Promise((resolve, reject) => {
    const { hostname, port } = new URL(proxy.url);
    const request = httpRequest({ hostname, port, path, method: 'POST' }, (response) => {
      response.resume();
      resolve({ status: response.statusCode });
      request.destroy();
    });
    request.on('error', reject);
    if (beginning === undefined) request.end();
    else request.write(beginning);
  });
}

/** What is answered to bytes as they are. */
async function bytes(request: string): Promise<string> {
  const { hostname, port } = new URL(proxy.url);
  const socket = connect(Number(port), hostname);
  socket.write(request);
  return text(socket);
}

describe('the proxy', () => {
  it('passes on what a login needs, and no more', async () => {
    const cookie = '__Host-holdfast=hfr1.x; Path=/; HttpOnly; Secure; SameSite=Strict';
    gateway.replies.push({
      status: 200,
      headers: {
        'Set-Cookie': [cookie, 'other=1'],
        'Cache-Control': 'no-store',
        'Content-Type': 'application/json',
        'X-Powered-By': 'gateway',
        Connection: 'close',
      },
      body: { login_id: 'login_1' },
    });
    const response = await post('/v1/auth/exchange?x=1', {
      headers: {
        Cookie: 'app=secret; __Host-holdfast=hfr1.y; theme=dark',
        Origin: 'https://app.test',
        'X-Holdfast': '1',
        'Sec-Fetch-Site': 'same-origin',
        Authorization: 'Bearer a.b.c',
        'Content-Type': 'application/json',
        'X-Other': 'no',
        'X-Forwarded-For': '203.0.113.1',
      },
      body: '{"login_code":"hfc_1"}',
    });
    expect(await response.json()).toEqual({ login_id: 'login_1' });
    expect(response.headers.getSetCookie()).toEqual([cookie]);
    expect(response.headers.get('Cache-Control')).toBe('no-store');
    expect(response.headers.get('X-Powered-By')).toBeNull();
    const { url, headers, body } = gateway.last;
    expect(url).toBe('/v1/auth/exchange');
    expect(body).toBe('{"login_code":"hfc_1"}');
    expect(headers).toMatchObject({
      cookie: '__Host-holdfast=hfr1.y',
      origin: 'https://app.test',
      'x-holdfast': '1',
      'sec-fetch-site': 'same-origin',
      authorization: 'Bearer a.b.c',
      'x-forwarded-for': '127.0.0.1',
    });
    expect(headers['x-other']).toBeUndefined();
  });

  it('passes on two cookies of one name, for the gateway to refuse', async () => {
    await post('/v1/auth/refresh', { headers: { Cookie: '__Host-holdfast=a; x=1; __Host-holdfast=b' } });
    expect(gateway.last.headers.cookie?.match(/__Host-holdfast=/g)).toHaveLength(2);
  });

  it.each(['refresh', 'ticket', 'logout', 'upstream', 'exchange'])('answers POST %s', async (path) => {
    gateway.replies.push({ status: 204, body: '' });
    expect((await post(`/v1/auth/${path}`)).status).toBe(204);
    expect(gateway.last).toMatchObject({ method: 'POST', url: `/v1/auth/${path}` });
    const wrong = await fetch(`${proxy.url}/v1/auth/${path}`);
    expect([wrong.status, wrong.headers.get('Allow')]).toEqual([405, 'POST']);
  });

  it('answers GET me', async () => {
    gateway.replies.push({ body: { principal: 'alice' } });
    expect(await (await fetch(`${proxy.url}/v1/auth/me`)).json()).toEqual({ principal: 'alice' });
    expect((await post('/v1/auth/me')).status).toBe(405);
    expect(gateway.received).toHaveLength(1);
  });

  it.each([
    '/v1/logins',
    '/v1/auth',
    '/v1/auth/',
    '/v1/auth/other',
    '/v1/auth/refresh/x',
    '/v1/auth/../logins',
    '/v1/auth/%2e%2e/logins',
    '/v1/auth/refresh%2f..%2flogins',
    '//evil.test/v1/auth/refresh',
    '//v1/auth/refresh',
    '/v1//auth/refresh',
    '/v1/auth/./refresh',
    '/v1/auth/refresh/',
    '/v1/auth/refresh#me',
    '/v1/auth/%72efresh',
    '/V1/auth/refresh',
    'http://evil.test/v1/auth/refresh',
    '/metrics',
  ])('does not pass on %s', async (path) => {
    const { status } = await raw(path);
    expect(status).toBe(404);
    expect(gateway.received).toEqual([]);
  });

  it('sends one request for one, with a length of its own', async () => {
    const smuggled = 'POST /v1/auth/logout HTTP/1.1\r\nHost: x\r\n\r\n';
    const chunks = `${smuggled.length.toString(16)}\r\n${smuggled}\r\n0\r\n\r\n`;
    const headers = 'Transfer-Encoding: chunked\r\nConnection: close, x-holdfast\r\nX-Holdfast: 1';
    const answer = await bytes(`POST /v1/auth/refresh HTTP/1.1\r\nHost: x\r\n${headers}\r\n\r\n${chunks}`);
    expect(answer).toMatch(/^HTTP\/1\.1 200 /);
    expect(gateway.received).toHaveLength(1);
    expect(gateway.last.headers).toMatchObject({ 'content-length': `${smuggled.length}`, 'x-holdfast': '1' });
    expect(gateway.last.headers['transfer-encoding']).toBeUndefined();
    const both = 'Content-Length: 4\r\nTransfer-Encoding: chunked';
    expect(await bytes(`POST /v1/auth/refresh HTTP/1.1\r\nHost: x\r\n${both}\r\n\r\n0\r\n\r\n`)).toMatch(/ 400 /);
    expect(gateway.received).toHaveLength(1);
  });

  it('passes on refusals with their wait', async () => {
    gateway.replies.push({ ...refusal(503, 'store_unavailable'), headers: { 'Retry-After': '2' } });
    const response = await post('/v1/auth/refresh');
    expect([response.status, response.headers.get('Retry-After')]).toEqual([503, '2']);
  });

  it('follows no redirect', async () => {
    gateway.replies.push({ status: 302, headers: { Location: `${gateway.url}/v1/logins` } });
    expect((await post('/v1/auth/refresh', { redirect: 'manual' })).status).toBe(302);
    expect(gateway.received).toHaveLength(1);
  });

  it.each([true, false])('refuses a body that is too large (length told: %s)', async (told) => {
    const large = 'x'.repeat(70_000);
    const body = told ? large : new Blob([large]).stream();
    const response = await post('/v1/auth/exchange', { body, duplex: 'half' });
    expect(response.status).toBe(413);
    expect(gateway.received).toEqual([]);
  });

  it('does not pass on an answer that is too large', async () => {
    gateway.replies.push({ body: 'x'.repeat(70_000) });
    expect((await post('/v1/auth/refresh')).status).toBe(503);
  });

  it('answers in time when the gateway or the client does not', async () => {
    gateway.replies.push({ hang: true });
    const response = await post('/v1/auth/refresh');
    expect(response.status).toBe(503);
    expect(await response.json()).toMatchObject({ code: 'overloaded', retryable: true, retry_after_ms: 1_000 });
    expect((await raw('/v1/auth/refresh', '{')).status).toBe(400);
    expect(gateway.received).toHaveLength(1);
  });

  it('says 503 when there is no gateway, never 401', async () => {
    const middleware = authProxy({ url: 'http://127.0.0.1:1' });
    proxy = await serve((request, response) => middleware(request, response));
    expect((await post('/v1/auth/refresh')).status).toBe(503);
  });
});

const jsonOfExpress4: RequestHandler = (request, response, next) => {
  express.json()(request, response, () => {
    request.body ??= {};
    next();
  });
};

describe('in express', () => {
  it('works at the root and at a mount point, before and behind a body parser, and leaves the rest alone', async () => {
    const app = express();
    app.use('/v1/auth', authProxy({ url: gateway.url }));
    app.get('/', (_request, response) => void response.send('the application'));
    proxy = await serve(app);
    await post('/v1/auth/exchange', { headers: { 'Content-Type': 'application/json' }, body: '{"login_code":"a"}' });
    expect(gateway.last).toMatchObject({ url: '/v1/auth/exchange', body: '{"login_code":"a"}' });
    expect(await (await fetch(proxy.url)).text()).toBe('the application');

    const parsed = express();
    parsed.use(express.json());
    parsed.use(authProxy({ url: gateway.url }));
    proxy = await serve(parsed);
    await post('/v1/auth/exchange', { headers: { 'Content-Type': 'application/json' }, body: '{"login_code":"b"}' });
    expect(gateway.last.body).toBe('{"login_code":"b"}');
    await post('/v1/auth/refresh');
    expect(gateway.last).toMatchObject({ url: '/v1/auth/refresh', body: '' });
    expect((await fetch(`${proxy.url}/elsewhere`)).status).toBe(404);
  });

  it.each<[string, RequestHandler]>([
    ['leaves bytes', express.raw({ type: '*/*' })],
    ['leaves text', express.text({ type: '*/*' })],
    ['leaves an object also where there was nothing, as express 4 does', jsonOfExpress4],
  ])('works behind a parser that %s', async (_name, parser) => {
    const app = express();
    app.use(parser, authProxy({ url: gateway.url }));
    proxy = await serve(app);
    await post('/v1/auth/refresh');
    expect(gateway.last).toMatchObject({ url: '/v1/auth/refresh', body: '' });
    await post('/v1/auth/exchange', { headers: { 'Content-Type': 'application/json' }, body: '{"login_code":"a"}' });
    expect(gateway.last.body).toBe('{"login_code":"a"}');
  });

  it('says what the client’s address is, and not what the client says of it', async () => {
    const app = express();
    app.set('trust proxy', 'loopback');
    app.use(authProxy({ url: gateway.url }));
    proxy = await serve(app);
    await post('/v1/auth/refresh', { headers: { 'X-Forwarded-For': '203.0.113.9, 198.51.100.7', Forwarded: 'for=x' } });
    expect(gateway.last.headers).toMatchObject({ 'x-forwarded-for': '198.51.100.7' });
    expect(gateway.last.headers['forwarded']).toBeUndefined();
  });
});
