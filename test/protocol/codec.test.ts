import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeFrame, encode, MAX_BATCH, plainSendAck } from '../../src/protocol/codec.js';
import type { DecodedMessage, Position } from '../../src/protocol/messages.js';

const ATTEMPT = 'a'.repeat(22);
const MAX = Number.MAX_SAFE_INTEGER;
const position = (offset: unknown, epoch: unknown = '1') => ({ epoch, offset }) as Position;
const decode = (text: string) => decodeFrame(text, Buffer.byteLength(text));
const frame = (value: unknown) => decode(JSON.stringify(value));

describe('frames that are right', () => {
  it.each<[unknown, DecodedMessage]>([
    [
      { type: 'subscribe', session_id: 's' },
      { type: 'subscribe', sessions: [{ session_id: 's' }] },
    ],
    [
      { type: 'subscribe', id: '1', session_id: 's', claim: 'never', reconnect_token: 't', attempt_id: ATTEMPT },
      {
        type: 'subscribe',
        id: '1',
        sessions: [{ session_id: 's', claim: 'never', reconnect_token: 't', attempt_id: ATTEMPT }],
      },
    ],
    [
      { type: 'subscribe', sessions: ['a', { session_id: 'b:1', claim: 'if_free' }] },
      { type: 'subscribe', sessions: [{ session_id: 'a' }, { session_id: 'b:1', claim: 'if_free' }] },
    ],
    [
      { type: 'claim', session_id: 's', force: true, unknown: 1 },
      { type: 'claim', session_id: 's', force: true },
    ],
    [
      { type: 'release', id: '', session_id: 's' },
      { type: 'release', id: '', session_id: 's' },
    ],
    [
      { type: 'unsubscribe', session_id: 's' },
      { type: 'unsubscribe', session_id: 's' },
    ],
    [
      { type: 'renew_login', id: '1' },
      { type: 'renew_login', id: '1' },
    ],
    [
      { type: 'renew_login', access_token: 'x'.repeat(8192) },
      { type: 'renew_login', access_token: 'x'.repeat(8192) },
    ],
    [
      { type: 'ping', id: 'é\n' },
      { type: 'ping', id: 'é\n' },
    ],
    [
      { type: 'send', id: '1', session_id: 's', data: null, idempotency_key: '~'.repeat(255), owner_epoch: 1 },
      { type: 'send', id: '1', session_id: 's', idempotency_key: '~'.repeat(255), payload: { text: ',"data":null}' } },
    ],
    [
      { type: 'send', session_id: 's', bytes: '' },
      { type: 'send', session_id: 's', payload: { text: ',"bytes":""}' } },
    ],
    [
      { type: 'signal', id: '2', session_id: 's', bytes: '/+8=', idempotency_key: 'k' },
      { type: 'signal', id: '2', session_id: 's', bytes: '/+8=' },
    ],
    [
      { type: 'subscribe', session_id: 's', since: { epoch: 'a_-Z9', offset: 0, more: 1 } },
      { type: 'subscribe', sessions: [{ session_id: 's', since: { epoch: 'a_-Z9', offset: 0 } }] },
    ],
    [
      {
        type: 'subscribe',
        sessions: [
          { session_id: 's', since: 'oldest' },
          { session_id: 't', since: position(MAX) },
        ],
      },
      {
        type: 'subscribe',
        sessions: [
          { session_id: 's', since: 'oldest' },
          { session_id: 't', since: position(MAX) },
        ],
      },
    ],
  ])('%j', (input, message) => {
    expect(frame(input)).toEqual({ ok: true, message });
  });
});

describe('frames that are wrong', () => {
  it.each(['', 'null', '[]', '"x"', '{', '{}', '{"type":1}', '{"type":"A b"}', '{"__proto__":{"type":"ping"}}'])(
    'malformed: %s',
    (text) => {
      expect(decode(text)).toMatchObject({ ok: false, counts: true, error: { code: 'malformed_frame' } });
    },
  );

  it.each<[string, object]>([
    ['session_id', { type: 'subscribe' }],
    ['session_id', { type: 'claim', session_id: 'a/b' }],
    ['session_id', { type: 'release', session_id: 'x'.repeat(129) }],
    ['session_id', { type: 'release', session_id: null }],
    ['id', { type: 'ping', id: 7 }],
    ['id', { type: 'ping', id: 'x'.repeat(129) }],
    ['force', { type: 'claim', session_id: 's', force: 'yes' }],
    ['access_token', { type: 'renew_login', access_token: '' }],
    ['access_token', { type: 'renew_login', access_token: 'x'.repeat(8193) }],
    ['access_token', { type: 'renew_login', access_token: null }],
    ['attempt_id', { type: 'claim', session_id: 's', attempt_id: 'short' }],
    ['claim', { type: 'subscribe', session_id: 's', claim: 'always' }],
    ['reconnect_token', { type: 'subscribe', session_id: 's', reconnect_token: 'x'.repeat(513) }],
    ['sessions', { type: 'subscribe', sessions: [] }],
    ['sessions', { type: 'subscribe', sessions: Array.from({ length: MAX_BATCH + 1 }, (_, i) => `s${i}`) }],
    ['sessions', { type: 'subscribe', session_id: 's', sessions: ['a'] }],
    ['claim', { type: 'subscribe', sessions: ['a'], claim: 'never' }],
    ['sessions[1]', { type: 'subscribe', sessions: ['a', 'a'] }],
    ['sessions[1]', { type: 'subscribe', sessions: ['a', 5] }],
    ['sessions[2].session_id', { type: 'subscribe', sessions: ['a', 'b', {}] }],
    ['since', { type: 'subscribe', sessions: ['a'], since: 'oldest' }],
    ['since', { type: 'subscribe', session_id: 's', since: 'newest' }],
    ['since', { type: 'subscribe', session_id: 's', since: null }],
    ['since.epoch', { type: 'subscribe', session_id: 's', since: { offset: 1 } }],
    ['since.epoch', { type: 'subscribe', session_id: 's', since: position(1, 7) }],
    ['since.epoch', { type: 'subscribe', session_id: 's', since: position(1, '') }],
    ['since.epoch', { type: 'subscribe', session_id: 's', since: position(1, 'x'.repeat(65)) }],
    ['since.epoch', { type: 'subscribe', session_id: 's', since: position(1, 'a,b') }],
    ['since.offset', { type: 'subscribe', session_id: 's', since: { epoch: '1' } }],
    ['since.offset', { type: 'subscribe', session_id: 's', since: position(-1) }],
    ['since.offset', { type: 'subscribe', session_id: 's', since: position(MAX + 1) }],
    ['since.offset', { type: 'subscribe', session_id: 's', since: position(1.5) }],
    ['since.offset', { type: 'subscribe', session_id: 's', since: position('1') }],
    ['sessions[1].since.offset', { type: 'subscribe', sessions: ['a', { session_id: 'b', since: position(-1) }] }],
    ['data', { type: 'send', session_id: 's' }],
    ['data', { type: 'send', session_id: 's', data: 1, bytes: '' }],
    ['data', { type: 'signal', session_id: 's', data: 1, bytes: null }],
    ['bytes', { type: 'signal', session_id: 's', bytes: null }],
    ['session_id', { type: 'send', data: 1 }],
    ['idempotency_key', { type: 'send', session_id: 's', data: 1, idempotency_key: '' }],
    ['idempotency_key', { type: 'send', session_id: 's', data: 1, idempotency_key: 'a b' }],
    ['idempotency_key', { type: 'send', session_id: 's', data: 1, idempotency_key: 'é' }],
    ['idempotency_key', { type: 'send', session_id: 's', data: 1, idempotency_key: 'k'.repeat(256) }],
    ['sessions[0].attempt_id', { type: 'subscribe', sessions: [{ session_id: 'a', attempt_id: '!' }] }],
  ])('names %s', (field, input) => {
    expect(frame(input)).toMatchObject({ ok: false, counts: true, error: { code: 'invalid_field', field } });
  });

  it('meets unknown types in peace', () => {
    expect(frame({ type: 'whisper', id: '9', session_id: 's', data: {} })).toMatchObject({
      ok: false,
      counts: false,
      error: { code: 'unsupported_type', id: '9', session_id: 's' },
    });
    expect(frame({ type: 'constructor' })).toMatchObject({ counts: false });
  });

  it('echoes what is right of the request', () => {
    expect(frame({ type: 'claim', id: '9', session_id: 's', force: 1 })).toMatchObject({
      error: { id: '9', session_id: 's', field: 'force' },
    });
    expect(frame({ type: 'claim', id: 9, session_id: '/' })).not.toHaveProperty('error.session_id');
  });

  it('does not quote a frame that may hold a token', () => {
    const decoded = decode('{"type":"subscribe","reconnect_token":"secret-token"');
    expect(JSON.stringify(decoded)).not.toContain('secret-token');
  });

  it('takes nothing from prototypes', () => {
    const decoded = decode('{"type":"claim","session_id":"s","__proto__":{"force":true}}');
    expect(decoded).toEqual({ ok: true, message: { type: 'claim', session_id: 's' } });
    expect(decode('{"type":"claim","__proto__":{"session_id":"s"}}')).toMatchObject({ ok: false });
    expect(Object.prototype).not.toHaveProperty('force');
  });
});

describe('what a message carries', () => {
  const nested = (levels: number) => `${'['.repeat(levels)}${']'.repeat(levels)}`;
  const sent = (payload: string) => decode(`{"type":"send","session_id":"s",${payload}}`);

  it.each([
    'null',
    'false',
    '""',
    '{"__proto__":{"a":1},"constructor":2}',
    '"\\ud800"',
    '-0.5e-300',
    '12345678901234567890',
    nested(128),
  ])('may be %s', (json) => {
    const decoded = sent(`"data":${json}`);
    const text = `,"data":${JSON.stringify(JSON.parse(json))}}`;
    expect(decoded).toMatchObject({ ok: true, message: { type: 'send', session_id: 's', payload: { text } } });
  });

  it.each(['1e999', '[{"a":-1e400}]', nested(129), nested(1_000_000)])(
    'may not be what would be written as something else',
    (json) => {
      expect(sent(`"data":${json}`)).toMatchObject({ ok: false, error: { code: 'invalid_field', field: 'data' } });
    },
  );

  it('is nothing inherited', () => {
    expect(sent('"__proto__":{"data":1}')).toMatchObject({ ok: false, error: { field: 'data' } });
  });

  it.each([
    'A',
    'AB',
    'ABC',
    'AAAAA',
    'AA=',
    'A===',
    '====',
    'AAA=AAAA',
    'AB==',
    'AAB=',
    'AA A',
    'AAA\\n',
    'AA-_',
    '/_8=',
    'AAAé',
  ])('is no base64: %s', (bytes) => {
    expect(sent(`"bytes":"${bytes}"`)).toMatchObject({ ok: false, error: { code: 'invalid_field', field: 'bytes' } });
  });

  it('is any base64 that is canonical, however long', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        expect(sent(`"bytes":"${Buffer.from(bytes).toString('base64')}"`)).toMatchObject({ ok: true });
      }),
    );
    const long = Buffer.alloc(12 * 1024 * 1024, 'holdfast').toString('base64');
    expect(sent(`"bytes":"${long}"`).ok).toBe(true);
    expect(sent(`"bytes":"${long.slice(0, -1)}!"`).ok).toBe(false);
  });
});

const sessionId = fc.stringMatching(/^[A-Za-z0-9._~:-]{1,128}$/);
const id = fc.option(fc.string({ maxLength: 128 }), { nil: undefined });
const attemptId = fc.option(fc.stringMatching(/^[A-Za-z0-9_-]{22,128}$/), { nil: undefined });
const noise = fc.dictionary(fc.constantFrom('__proto__', 'x', 'toString', 'data'), fc.jsonValue());
const anyFrame = fc.record(
  {
    type: fc.oneof(
      fc.constantFrom('subscribe', 'unsubscribe', 'claim', 'release', 'send', 'signal', 'ping', 'later'),
      fc.jsonValue(),
    ),
    id: fc.jsonValue(),
    session_id: fc.oneof(sessionId, fc.jsonValue()),
    sessions: fc.oneof(
      fc.array(fc.oneof(sessionId, fc.record({ session_id: sessionId }), fc.jsonValue())),
      fc.jsonValue(),
    ),
    claim: fc.jsonValue(),
    reconnect_token: fc.oneof(fc.string(), fc.jsonValue()),
    attempt_id: fc.oneof(attemptId, fc.jsonValue()),
    force: fc.oneof(fc.boolean(), fc.jsonValue()),
    since: fc.oneof(fc.record({ epoch: fc.string(), offset: fc.integer() }), fc.jsonValue()),
    data: fc.jsonValue(),
    bytes: fc.oneof(fc.base64String(), fc.jsonValue()),
    idempotency_key: fc.oneof(fc.string(), fc.jsonValue()),
  },
  { requiredKeys: [] },
);

describe('any input', () => {
  const check = (text: string) => {
    const decoded = decode(text);
    if (decoded.ok) return;
    expect(decoded.counts).toBe(decoded.error.code !== 'unsupported_type');
    expect(decoded.error.field === undefined).toBe(decoded.error.code !== 'invalid_field');
  };

  it('never throws on text', () => fc.assert(fc.property(fc.string(), check)));
  it('never throws on JSON', () => fc.assert(fc.property(fc.json(), check)));
  it('never throws on nearly right frames', () =>
    fc.assert(
      fc.property(anyFrame, (value) => check(JSON.stringify(value))),
      { numRuns: 1000 },
    ));
  it('never throws on deep nesting', () => check('['.repeat(60_000)));

  it('reads a right claim out of any noise', () =>
    fc.assert(
      fc.property(sessionId, id, attemptId, noise, (session, requestId, attempt, rest) => {
        const message = { type: 'claim', id: requestId, session_id: session, attempt_id: attempt };
        const text = JSON.stringify({ ...rest, ...message });
        expect(decode(text)).toEqual({ ok: true, message: JSON.parse(JSON.stringify(message)) });
      }),
    ));
});

it('writes compact JSON', () => {
  expect(encode({ type: 'pong', id: '1' })).toBe('{"type":"pong","id":"1"}');
});

const ack = fc.record(
  {
    type: fc.constant('send_ack' as const),
    session_id: fc.oneof(fc.constantFrom('s', 't'), sessionId),
    offset: fc.maxSafeNat(),
    owner_epoch: fc.oneof(fc.constantFrom(1, 2), fc.maxSafeNat()),
    id: fc.oneof(fc.string({ maxLength: 128 }), fc.string({ unit: 'binary', maxLength: 128 })),
  },
  { requiredKeys: ['type', 'session_id', 'offset', 'owner_epoch'] },
);

it('writes acknowledgements in turn as JSON has them, but for ids that are not plain', () =>
  fc.assert(
    fc.property(fc.array(ack), (acks) => {
      for (const given of acks) {
        const { id: requestId = '' } = given;
        const isPlain = /^[ -~]*$/.test(requestId) && JSON.stringify(requestId) === `"${requestId}"`;
        const text = plainSendAck(given);
        expect(text !== undefined).toBe(isPlain);
        if (text === undefined) continue;
        expect(text).toMatch(/^[ -~]*$/);
        expect(JSON.parse(text)).toEqual(given);
      }
    }),
  ));

it.each(['', 'x'.repeat(128)])('writes an acknowledgement with the id "%s"', (requestId) => {
  const given = { type: 'send_ack', session_id: 's', offset: 1, owner_epoch: 2, id: requestId } as const;
  expect(plainSendAck(given)).toBe(
    `{"type":"send_ack","session_id":"s","offset":1,"owner_epoch":2,"id":"${requestId}"}`,
  );
});

it.each(['"', '\\', '\n', '\0', 'é', '\u2028', '🦔', '\ud800'])('leaves the id %j to JSON', (requestId) => {
  const given = { type: 'send_ack', session_id: 's', offset: 1, owner_epoch: 2, id: requestId } as const;
  expect(plainSendAck(given)).toBeUndefined();
  expect(JSON.parse(encode(given))).toEqual(given);
});
