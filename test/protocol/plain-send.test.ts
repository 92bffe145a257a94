import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeFrame } from '../../src/protocol/codec.js';
import { parsedPayload } from '../../src/protocol/payload.js';
import { plainSend } from '../../src/protocol/plain-send.js';

const isPlain = (text: string) => plainSend(text, Buffer.byteLength(text)) !== undefined;
const decode = (text: string) => decodeFrame(text, Buffer.byteLength(text));

/** What a frame means; the payload's text may be another, of the same value. */
function meaning(text: string) {
  const decoded = decode(text);
  if (!decoded.ok || decoded.message.type !== 'send') return decoded;
  const { payload, ...request } = decoded.message;
  if (payload.bytes !== undefined) expect(payload.bytes).toBe(Buffer.byteLength(payload.text));
  return { ok: true, message: request, carried: parsedPayload(payload) };
}

/** Which only the parser reads. */
const general = (text: string) => text.replace('{', '{ ');

function expectSame(text: string): void {
  const expected = meaning(general(text));
  expect(meaning(text)).toEqual(expected);
  if (!('carried' in expected)) return;
  const { data, bytes } = JSON.parse(text) as { data?: unknown; bytes?: unknown };
  expect(JSON.stringify(expected.carried)).toBe(JSON.stringify(bytes === undefined ? { data } : { bytes }));
}

/** JSON of strings, as it is written and as nobody has to write it. */
const character = fc.oneof(
  { weight: 8, arbitrary: fc.string({ minLength: 1, maxLength: 1 }) },
  fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }),
  fc.constantFrom('\\"', '\\\\', '\\/', '\\n', '\\u0041', '\\ud800', '\\udc00', '\\ud83e\\udd94', '\\u2028'),
  fc.constantFrom('\x7f', '\u2028', '\u2029', '\ufeff', '\uffff', '\u0080', 'é', '🦔', '\0', '\n', '\x1f', '"', '\\'),
);
const textOf = (arbitrary: fc.Arbitrary<string>, maxLength: number) =>
  fc.array(arbitrary, { maxLength }).map((parts) => `"${parts.join('')}"`);
const ascii = fc.string({ maxLength: 20 }).map((text) => JSON.stringify(text));
const wellFormed = fc.string({ unit: 'binary', maxLength: 20 }).map((text) => JSON.stringify(text));
const anyJson = fc.oneof(fc.json({ maxDepth: 2 }), fc.constantFrom('1e999', '-0', 'tru', '', '[[],{}]'));
const value = (usual: fc.Arbitrary<string>) =>
  fc.oneof({ weight: 40, arbitrary: usual }, ascii, wellFormed, textOf(character, 12), anyJson);
const exactly = (count: number) => fc.constant(JSON.stringify('k'.repeat(count)));

const fields = {
  type: fc.oneof({ weight: 30, arbitrary: fc.constant('"send"') }, fc.constantFrom('"signal"', '"s\\u0065nd"', '1')),
  id: value(fc.oneof(ascii, exactly(128), exactly(129), exactly(0))),
  session_id: value(
    fc.oneof(
      fc.stringMatching(/^[A-Za-z0-9._~:-]{1,128}$/).map((text) => `"${text}"`),
      exactly(128),
      exactly(129),
    ),
  ),
  idempotency_key: value(
    fc.oneof(
      fc.stringMatching(/^[!#-[\]-~]{1,255}$/).map((text) => `"${text}"`),
      exactly(255),
      exactly(256),
    ),
  ),
  data: value(fc.oneof(ascii, textOf(character, 12), wellFormed)),
};
const field = (name: keyof typeof fields) => fields[name].map((json) => `"${name}":${json}`);
const optional = (name: keyof typeof fields) => fc.option(field(name), { nil: undefined });

/** As clients write it. */
const usual = fc
  .tuple(optional('id'), field('type'), optional('id'), field('session_id'), optional('idempotency_key'), field('data'))
  .map((members) => members.filter((member) => member !== undefined));
const extra = fc.oneof(
  field('id'),
  field('session_id'),
  field('data'),
  field('type'),
  fc.constantFrom('"bytes":"AAE="', '"more":{"data":"x"}', '"__proto__":{"data":1}', '"d\\u0061ta":"x"'),
);
const unusual = fc
  .tuple(usual, fc.array(extra, { maxLength: 2 }))
  .chain(([members, more]) => fc.shuffledSubarray([...members, ...more], { minLength: members.length }));
const frame = fc.oneof(
  { weight: 6, arbitrary: usual.map((members) => `{${members.join(',')}}`) },
  unusual.map((members) => `{${members.join(',')}}`),
  fc
    .tuple(usual, fc.constantFrom(' ', '\n', '\t', '\u00a0'))
    .map(([members, space]) => `{${members.join(`,${space}`)}}`),
  fc.tuple(usual, fc.constantFrom(' ', '\n', ',', '}', '\0')).map(([members, end]) => `{${members.join(',')}}${end}`),
);
const cut = fc.tuple(frame, fc.nat({ max: 30 })).map(([text, length]) => text.slice(0, -1 - length));

/** Frames are valid UTF-8. */
const sent = (text: string) => Buffer.from(text).toString();

describe('the usual form of a send', () => {
  it('means what the parser makes of it', () => {
    let plain = 0;
    const check = (text: string) => {
      if (isPlain(text)) plain += 1;
      expectSame(text);
    };
    fc.assert(fc.property(fc.oneof({ weight: 8, arbitrary: frame }, cut).map(sent), check), { numRuns: 5_000 });
    expect(plain).toBeGreaterThan(100);
  });

  const DEL = '\x7f';
  const LONGEST = 'x'.repeat(128);
  const KEY = '~'.repeat(255);

  it.each([
    '{"type":"send","session_id":"s","data":""}',
    `{"type":"send","id":"${LONGEST}","session_id":"${LONGEST}","idempotency_key":"${KEY}","data":"x"}`,
    '{"type":"send","id":"","session_id":"s","data":"x"}',
    `{"id":"${LONGEST}","type":"send","session_id":"s","idempotency_key":"k","data":"x"}`,
    '{"id":"","type":"send","session_id":"s","data":"x"}',
    '{"id":"1","type":"send","id":"","session_id":"s","data":"x"}',
    `{"type":"send","id":" !#$[]^~","session_id":"Az09._~:-","idempotency_key":"!#$[]^~","data":" !#[]~${DEL}"}`,
    '{"type":"send","session_id":"s","data":"\u0080é\u2028\u2029\ud7ff\ue000\ufeff\uffff🦔"}',
  ])('is read without parsing: %s', (text) => {
    expect(isPlain(text)).toBe(true);
    const { data, ...request } = JSON.parse(text) as { data: string };
    const payload = { text: `,"data":"${data}"}`, bytes: Buffer.byteLength(data) + 11 };
    expect(decode(text)).toEqual({ ok: true, message: { ...request, payload } });
    expectSame(text);
  });

  it('may be as long as a frame', () => {
    const text = `{"type":"send","session_id":"s","data":"${'🦔'.repeat(4_000_000)}"}`;
    expect(isPlain(text)).toBe(true);
    expectSame(text);
  });

  it.each([
    '{"data":"x","type":"send","session_id":"s"}',
    '{"type":"send","data":"x","session_id":"s"}',
    '{"type":"send","session_id":"s","data":"a\\"b\\\\\\n\\ud800"}',
    '{"type":"send","session_id":"s","data":{"a":"x"}}',
    '{"type":"send","session_id":"s","bytes":"AAE="}',
    '{"type":"send","session_id":"s","data":"x","more":"y"}',
    '{"type":"send","session_id":"s","data":"x","data":"y"}',
    '{"type":"send","session_id":"s","idempotency_key":"k","id":"1","data":"x"}',
    `{"type":"send","id":"${DEL}é","session_id":"s","data":"x"}`,
    '{"type":"send","session_id":"s","data":"x"}\n',
  ])('is not the only one: %s', (text) => {
    expect(isPlain(text)).toBe(false);
    expect(decode(text).ok).toBe(true);
    expectSame(text);
  });

  it.each([
    ['id', `{"type":"send","id":"${LONGEST}x","session_id":"s","data":"x"}`],
    ['id', `{"id":"${LONGEST}x","type":"send","session_id":"s","data":"x"}`],
    ['session_id', `{"type":"send","session_id":"${LONGEST}x","data":"x"}`],
    ['session_id', '{"type":"send","session_id":"","data":"x"}'],
    ['session_id', '{"type":"send","session_id":"a/b","data":"x"}'],
    ['idempotency_key', `{"type":"send","session_id":"s","idempotency_key":"${KEY}~","data":"x"}`],
    ['idempotency_key', '{"type":"send","session_id":"s","idempotency_key":"","data":"x"}'],
    ['idempotency_key', '{"type":"send","session_id":"s","idempotency_key":"a b","data":"x"}'],
    ['idempotency_key', `{"type":"send","session_id":"s","idempotency_key":"${DEL}","data":"x"}`],
    ['data', '{"type":"send","session_id":"s","data":"x","bytes":"AAE="}'],
  ])('has the same limits: %s', (wrong, text) => {
    expect(decode(text)).toMatchObject({ ok: false, error: { code: 'invalid_field', field: wrong } });
    expectSame(text);
  });

  it.each(Array.from({ length: 0x20 }, (_, code) => String.fromCharCode(code)))(
    'is no JSON with a raw %j',
    (control) => {
      for (const text of [
        `{"type":"send","session_id":"s","data":"a${control}b"}`,
        `{"type":"send","id":"a${control}b","session_id":"s","data":"x"}`,
      ]) {
        expect(decode(text)).toMatchObject({ ok: false, error: { code: 'malformed_frame' } });
        expectSame(text);
      }
    },
  );
});
