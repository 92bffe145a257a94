import { once } from 'node:events';
import { ServerResponse } from 'node:http';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { HoldfastError } from '../../src/protocol/errors.js';
import { API_KEY, rawSocket, startGateway } from './gateway.js';
import { type HttpCall, httpCall } from './http-call.js';

const KEY = { authorization: `Bearer ${API_KEY}` };
const ONE = '/v1/sessions/doc:1/messages';
const ALL = '/v1/messages';
const MIB = 1024 * 1024;

async function start() {
  const { port, sessions } = await startGateway();
  return {
    port,
    sessions,
    publish: (path: string, body: object | string, headers: HttpCall['headers'] = {}) =>
      httpCall(port, path, { body, headers: { ...KEY, 'content-type': 'application/json', ...headers } }),
  };
}

describe('publishing', () => {
  it('says of each message of several what became of it, a repeat included', async () => {
    const { publish, sessions } = await start();
    sessions.resultOf = ({ session_id, ...message }) =>
      'data' in message && message.data === 2 ? { session_id, offset: 1, epoch: '1', duplicate: true } : undefined;
    const { body } = await publish(ONE, { messages: [{ data: 1 }, { data: 2 }, { data: 3 }] });
    const published = { session_id: 'doc:1', epoch: '1' };
    expect(body).toEqual({
      results: [
        { ...published, offset: 1 },
        { ...published, offset: 1, duplicate: true },
        { ...published, offset: 3 },
      ],
    });
  });

  it('one message answers its offset, without a cache', async () => {
    const { publish, sessions } = await start();
    const message = {
      data: { text: 'ü', __proto__: null },
      ephemeral: true,
      idempotency_key: 'k',
      expected_owner_epoch: 0,
      expected_offset: 7,
    };
    const { status, headers, body } = await publish('/v1/sessions/doc%3A1/messages?x', { ...message, other: 1 });
    expect([status, body]).toEqual([200, { session_id: 'doc:1', offset: 1, epoch: '1' }]);
    expect(headers).toMatchObject({
      'content-type': 'application/json; charset=utf-8',
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
    });
    expect(sessions.published).toEqual([[{ ...message, session_id: 'doc:1' }]]);
  });

  it('is answered behind what its turn writes to subscribers', async () => {
    const { publish, sessions } = await start();
    const steps: string[] = [];
    sessions.resultOf = () => {
      setImmediate(() => steps.push('fan-out'));
      return undefined;
    };
    const { end } = ServerResponse.prototype;
    const spy = vi.spyOn(ServerResponse.prototype, 'end').mockImplementation(function (this: ServerResponse, ...given) {
      steps.push('answer');
      return Reflect.apply(end, this, given);
    });
    onTestFinished(() => spy.mockRestore());
    await publish(ONE, { data: 1 });
    expect(steps).toEqual(['fan-out', 'answer']);
  });

  it('several messages answers for each of them, in order', async () => {
    const { publish, sessions } = await start();
    sessions.resultOf = ({ session_id }) =>
      session_id === 'b'
        ? { session_id, error: { code: 'stale_epoch', message: 'another owner', retryable: false } }
        : undefined;
    const messages = ['a', 'b', 'a'].map((session_id) => ({ session_id, bytes: 'AAAA' }));
    expect(await publish(ALL, { messages })).toMatchObject({
      status: 200,
      body: {
        results: [
          { session_id: 'a', offset: 1, epoch: '1' },
          { session_id: 'b', error: { code: 'stale_epoch', message: 'another owner', retryable: false } },
          { session_id: 'a', offset: 3, epoch: '1' },
        ],
      },
    });
    expect(await publish(ONE, { messages: [{ data: 1 }, { session_id: 'doc:1', data: 2 }] })).toMatchObject({
      body: { results: [{ offset: 1 }, { offset: 2 }] },
    });
    expect(sessions.published).toEqual([
      messages,
      [
        { session_id: 'doc:1', data: 1 },
        { session_id: 'doc:1', data: 2 },
      ],
    ]);
  });

  it('one that is refused is a problem', async () => {
    const { publish, sessions } = await start();
    const error = { code: 'stale_epoch', message: 'another owner', retryable: false } as const;
    sessions.resultOf = ({ session_id }) => ({ session_id, error });
    expect(await publish(ONE, { data: 1 })).toMatchObject({
      status: 409,
      headers: { 'content-type': 'application/problem+json' },
      body: { code: 'stale_epoch', detail: 'another owner' },
    });
    sessions.error = new HoldfastError('store_unavailable', 'away');
    const away = await publish(ONE, { messages: [{ data: 1 }] });
    expect([away.status, away.headers['retry-after'], away.body['code']]).toEqual([503, '1', 'store_unavailable']);
    sessions.error = new Error('secret details');
    const failed = await publish(ONE, { data: 1 });
    expect(failed).toMatchObject({ status: 500, body: { code: 'internal' } });
    expect(failed.text).not.toMatch(/secret|\.ts/);
  });

  it('takes Idempotency-Key for the message, or for those of a list that have none', async () => {
    const { publish, sessions } = await start();
    const header = { 'idempotency-key': 'h' };
    await publish(ONE, { data: 1 }, header);
    await publish(ONE, { data: 1, idempotency_key: 'h' }, header);
    await publish(ONE, { messages: [{ data: 1 }, { data: 2, idempotency_key: 'own' }, { data: 3 }] }, header);
    expect(sessions.published.map((list) => list.map((it) => it.idempotency_key))).toEqual([
      ['h'],
      ['h'],
      ['h:0', 'own', 'h:2'],
    ]);
  });

  it.each([999, 300_001])('says how long a key may be remembered, which is not %d ms', async (idempotency_ms) => {
    const { publish } = await start();
    expect(await publish(ONE, { data: 1, idempotency_key: 'k', idempotency_ms })).toMatchObject({
      status: 400,
      body: { field: 'idempotency_ms', detail: expect.stringContaining('an integer from 1000 to 300000') },
    });
  });

  it.each<[string, HttpCall['headers'], string]>([
    ['another than in the body', { 'idempotency-key': 'x' }, 'idempotency_key'],
    ['with a space', { 'idempotency-key': 'a b' }, 'Idempotency-Key'],
    ['empty', { 'idempotency-key': '' }, 'Idempotency-Key'],
    ['too long', { 'idempotency-key': 'k'.repeat(256) }, 'Idempotency-Key'],
    ['given twice', { 'idempotency-key': ['k', 'k'] }, 'Idempotency-Key'],
  ])('refuses an Idempotency-Key that is %s', async (_, headers, field) => {
    const { publish, sessions } = await start();
    expect(await publish(ONE, { data: 1, idempotency_key: 'k' }, headers)).toMatchObject({
      status: 400,
      body: { code: 'invalid_field', field },
    });
    expect(sessions.published).toEqual([]);
  });
});

describe('what is refused', () => {
  const many = (count: number) => ({ messages: Array.from({ length: count }, () => ({ session_id: 's', data: 1 })) });
  const nested = `{"data":${'['.repeat(100_000)}${']'.repeat(100_000)}}`;

  it.each<[string, string, object | string, string]>([
    ['no payload', ONE, {}, 'data'],
    ['two payloads', ONE, { data: 1, bytes: '' }, 'data'],
    ['an inherited payload', ONE, '{"__proto__":{"data":1}}', 'data'],
    ['data nested too deep', ONE, nested, 'data'],
    ['a number that is none', ONE, '{"data":[1e999]}', 'data'],
    ['bytes that are no base64', ONE, { bytes: 'AAA' }, 'bytes'],
    ['base64 for URLs', ONE, { bytes: '_-8=' }, 'bytes'],
    ['an ephemeral that is no boolean', ONE, { data: 1, ephemeral: 1 }, 'ephemeral'],
    ['a negative epoch', ONE, { data: 1, expected_owner_epoch: -1 }, 'expected_owner_epoch'],
    ['an offset that is not exact', ONE, '{"data":1,"expected_offset":9007199254740993}', 'expected_offset'],
    ['a key with a line break', ONE, { data: 1, idempotency_key: 'a\nb' }, 'idempotency_key'],
    ['another session than that of the path', ONE, { data: 1, session_id: 'doc:2' }, 'session_id'],
    ['a list beside a message', ONE, { data: 1, messages: [{ data: 1 }] }, 'messages'],
    ['no list', ALL, { session_id: 's', data: 1 }, 'messages'],
    ['nothing', ALL, {}, 'messages'],
    ['a list that is none', ALL, { messages: { length: 1 } }, 'messages'],
    ['an empty list', ALL, many(0), 'messages'],
    ['1,001 messages', ALL, many(1_001), 'messages'],
    ['a message that is none', ALL, { messages: [{ session_id: 's', data: 1 }, null] }, 'messages[1]'],
    ['a message to nobody', ALL, { messages: [{ data: 1 }] }, 'messages[0].session_id'],
    ['a message to a wrong id', ALL, { messages: [{ session_id: 'a/b', data: 1 }] }, 'messages[0].session_id'],
    ['a wrong one among others', ALL, { messages: [...many(2).messages, { session_id: 's' }] }, 'messages[2].data'],
    ['half a body', ONE, '{"data":', 'body'],
    ['a list as body', ONE, '[{"data":1}]', 'body'],
    ['a body that is no UTF-8', ONE, '', 'body'],
    ['a wrong id in the path', '/v1/sessions/a%2Fb/messages', { data: 1 }, 'session_id'],
    ['an id that is no UTF-8', '/v1/sessions/%ff/messages', { data: 1 }, 'session_id'],
  ])('%s', async (name, path, body, field) => {
    const { port, publish, sessions } = await start();
    if (name === 'a body that is no UTF-8') {
      // A lone surrogate, as UTF-8 may not hold it.
      const bytes = Buffer.concat([Buffer.from('{"data":"'), Buffer.from([0xed, 0xa0, 0x80]), Buffer.from('"}')]);
      const headers = { ...KEY, 'content-type': 'application/json' };
      const answer = await fetch(`http://127.0.0.1:${port}${path}`, { method: 'POST', headers, body: bytes });
      expect([answer.status, await answer.json()]).toMatchObject([400, { code: 'invalid_field', field }]);
    } else {
      expect(await publish(path, body)).toMatchObject({ status: 400, body: { code: 'invalid_field', field } });
    }
    expect(sessions.published).toEqual([]);
  });

  it.each<[string, HttpCall, number, object]>([
    ['who has no key', { headers: { authorization: '' } }, 401, { code: 'unauthorized' }],
    ['a browser', { headers: { origin: 'https://app.example.com' } }, 403, { code: 'forbidden' }],
    ['another method', { method: 'PUT' }, 405, { code: 'method_not_allowed' }],
    ['a form', { headers: { 'content-type': 'text/plain' } }, 400, { field: 'body' }],
    ['JSON of another name', { headers: { 'content-type': 'application/jsonp' } }, 400, { field: 'body' }],
    ['what is compressed', { headers: { 'content-encoding': 'gzip' } }, 400, { field: 'Content-Encoding' }],
  ])('%s', async (_, { headers, ...call }, status, problem) => {
    const { port, sessions } = await start();
    for (const path of [ONE, ALL]) {
      const all = { ...KEY, ...headers };
      const answer = await httpCall(port, path, {
        body: { messages: [{ session_id: 'doc:1', data: 1 }] },
        headers: all,
        ...call,
      });
      expect(answer).toMatchObject({ status, body: problem });
      expect(answer.headers).toMatchObject({ 'content-type': 'application/problem+json', 'cache-control': 'no-store' });
      if (status === 405) expect(answer.headers['allow']).toBe('POST');
    }
    expect(sessions.published).toEqual([]);
  });

  it('a body of more than 4 MiB, whether it says so or not', async () => {
    const { port, publish, sessions } = await start();
    const bodyOf = (bytes: number) => `{"data":"${'x'.repeat(bytes - 11)}"}`;
    expect((await publish(ONE, bodyOf(4 * MIB))).status).toBe(200);
    expect(await publish(ONE, bodyOf(4 * MIB + 1))).toMatchObject({
      status: 413,
      body: { code: 'payload_too_large', detail: 'The body must be at most 4096 KiB' },
    });
    const chunked = await httpCall(port, ONE, {
      body: bodyOf(8 * MIB),
      headers: { ...KEY, 'content-type': 'application/json', 'transfer-encoding': 'chunked', 'content-length': [] },
    });
    expect(chunked).toMatchObject({ status: 413, body: { code: 'payload_too_large' } });
    expect(sessions.published).toHaveLength(1);
  });

  it('a body that ends early, without a word in the log', async () => {
    const logged: unknown[] = [];
    const log = { debug() {}, info() {}, warn() {}, error: (...it: unknown[]) => void logged.push(it) };
    const { port, sessions } = await startGateway({ log });
    const socket = await rawSocket(port);
    socket.write(
      `POST ${ONE} HTTP/1.1\r\nHost: x\r\nAuthorization: ${KEY.authorization}\r\n` +
        'Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{"data":',
    );
    socket.end();
    socket.resume();
    await once(socket, 'close');
    expect((await httpCall(port, ONE, { body: { data: 1 }, headers: KEY })).status).toBe(200);
    expect([logged, sessions.published.length]).toEqual([[], 1]);
  });
});

describe('history', () => {
  const paths: [string, string][] = [
    ['', `history {"before":${Number.MAX_SAFE_INTEGER}} 100 doc:1`],
    ['?after=0&limit=1000', 'history {"after":0} 1000 doc:1'],
    ['?before=5&limit=1', 'history {"before":5} 1 doc:1'],
  ];

  it.each(paths)('is paged: %s', async (query, call) => {
    const { port, sessions } = await start();
    expect(await httpCall(port, `/v1/sessions/doc:1/history${query}`, { headers: KEY })).toMatchObject({
      status: 200,
      body: { session_id: 'doc:1', messages: [], position: { epoch: '1', offset: 0 }, first_offset: 1 },
    });
    expect(sessions.calls).toEqual([call]);
  });

  it('is cut, and removed with its session', async () => {
    const { port, sessions } = await start();
    const remove = (path: string) => httpCall(port, path, { method: 'DELETE', headers: KEY });
    expect((await remove('/v1/sessions/s/history?through=12')).status).toBe(204);
    expect((await remove('/v1/sessions/s')).status).toBe(204);
    expect(sessions.calls).toEqual(['truncate 12 s', 'delete s']);
  });

  it.each<[string, string, string]>([
    ['GET', '?after=1&before=3', 'query'],
    ['GET', '?from=1', 'query'],
    ['GET', '?after=-1', 'after'],
    ['GET', '?after=1&after=2', 'after'],
    ['GET', '?after=1e3', 'after'],
    ['GET', '?after=9007199254740993', 'after'],
    ['GET', '?before=0', 'before'],
    ['GET', '?limit=0', 'limit'],
    ['GET', '?limit=1001', 'limit'],
    ['GET', '?limit=', 'limit'],
    ['DELETE', '', 'through'],
    ['DELETE', '?until=3', 'query'],
    ['DELETE', '?through=x', 'through'],
  ])('%s %s is refused', async (method, query, field) => {
    const { port, sessions } = await start();
    const answer = await httpCall(port, `/v1/sessions/s/history${query}`, { method, headers: KEY });
    expect(answer).toMatchObject({ status: 400, body: { code: 'invalid_field', field } });
    expect(sessions.calls).toEqual([]);
  });

  it('is for the backend alone', async () => {
    const { port, sessions } = await start();
    for (const method of ['GET', 'DELETE']) {
      expect((await httpCall(port, '/v1/sessions/s/history?through=1', { method })).status).toBe(401);
    }
    expect(sessions.calls).toEqual([]);
  });
});
