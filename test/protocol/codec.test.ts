import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeFrame, encode, MAX_BATCH } from '../../src/protocol/codec.js';
import type { ClientMessage } from '../../src/protocol/messages.js';

const ATTEMPT = 'a'.repeat(22);
const frame = (value: unknown) => decodeFrame(JSON.stringify(value));

describe('frames that are right', () => {
  it.each<[unknown, ClientMessage]>([
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
  ])('%j', (input, message) => {
    expect(frame(input)).toEqual({ ok: true, message });
  });
});

describe('frames that are wrong', () => {
  it.each(['', 'null', '[]', '"x"', '{', '{}', '{"type":1}', '{"type":"A b"}', '{"__proto__":{"type":"ping"}}'])(
    'malformed: %s',
    (text) => {
      expect(decodeFrame(text)).toMatchObject({ ok: false, counts: true, error: { code: 'malformed_frame' } });
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
    ['sessions[0].attempt_id', { type: 'subscribe', sessions: [{ session_id: 'a', attempt_id: '!' }] }],
  ])('names %s', (field, input) => {
    expect(frame(input)).toMatchObject({ ok: false, counts: true, error: { code: 'invalid_field', field } });
  });

  it('meets unknown types in peace', () => {
    expect(frame({ type: 'send', id: '9', session_id: 's', data: {} })).toMatchObject({
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
    const decoded = decodeFrame('{"type":"subscribe","reconnect_token":"secret-token"');
    expect(JSON.stringify(decoded)).not.toContain('secret-token');
  });

  it('takes nothing from prototypes', () => {
    const decoded = decodeFrame('{"type":"claim","session_id":"s","__proto__":{"force":true}}');
    expect(decoded).toEqual({ ok: true, message: { type: 'claim', session_id: 's' } });
    expect(decodeFrame('{"type":"claim","__proto__":{"session_id":"s"}}')).toMatchObject({ ok: false });
    expect(Object.prototype).not.toHaveProperty('force');
  });
});

const sessionId = fc.stringMatching(/^[A-Za-z0-9._~:-]{1,128}$/);
const id = fc.option(fc.string({ maxLength: 128 }), { nil: undefined });
const attemptId = fc.option(fc.stringMatching(/^[A-Za-z0-9_-]{22,128}$/), { nil: undefined });
const noise = fc.dictionary(fc.constantFrom('__proto__', 'x', 'toString', 'data'), fc.jsonValue());
const anyFrame = fc.record(
  {
    type: fc.oneof(fc.constantFrom('subscribe', 'unsubscribe', 'claim', 'release', 'ping', 'later'), fc.jsonValue()),
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
  },
  { requiredKeys: [] },
);

describe('any input', () => {
  const check = (text: string) => {
    const decoded = decodeFrame(text);
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
        expect(decodeFrame(text)).toEqual({ ok: true, message: JSON.parse(JSON.stringify(message)) });
      }),
    ));
});

it('writes compact JSON', () => {
  expect(encode({ type: 'pong', id: '1' })).toBe('{"type":"pong","id":"1"}');
});
