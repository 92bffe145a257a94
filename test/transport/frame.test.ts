import { once } from 'node:events';
import { PassThrough, type Writable } from 'node:stream';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import * as ws from 'ws';
import { type FramePart, frameText, MAX_HEADER_BYTES } from '../../src/session/frame-encoder.js';
import { frameEncoder, joinedFrames, textFrame } from '../../src/transport/frame.js';

// Not in the types of ws.
const { Receiver } = ws as unknown as { Receiver: new (options: { isServer: boolean }) => Writable };

async function read(frame: Buffer): Promise<string> {
  const receiver = new Receiver({ isServer: false });
  const stream = new PassThrough();
  const message = once(receiver, 'message') as Promise<[Buffer, boolean]>;
  stream.pipe(receiver);
  stream.write(frame);
  const [data, isBinary] = await message;
  expect(isBinary).toBe(false);
  return data.toString();
}

const LENGTHS = [0, 1, 125, 126, 127, 65_535, 65_536, 200_000];

it.each(LENGTHS)('a frame of %i bytes is what ws reads', async (length) => {
  for (const payload of ['x'.repeat(length), 'ü'.repeat(length / 2)]) {
    expect(await read(textFrame(payload))).toBe(payload);
  }
});

describe('a message', () => {
  it.each(LENGTHS)('with a tail of %i bytes is one frame', async (length) => {
    const { plain } = frameEncoder(0);
    for (const tail of ['x'.repeat(length), 'ü'.repeat(length / 2), `${'x'.repeat(length)}🦔`]) {
      for (const head of ['', '{"offset":1', 'x'.repeat(126)]) {
        expect(await read(plain(frameText(head, tail)))).toBe(head + tail);
        expect(await read(plain(frameText(head, Buffer.from(tail))))).toBe(head + tail);
      }
    }
  });

  it('is written behind others as it is alone', () => {
    const { plain, joined } = frameEncoder(0);
    const texts = ['a', 'ü', 'x'.repeat(200), '🦔'.repeat(20_000)].map((tail) => frameText('{"offset":1', tail));
    const frames = Buffer.concat(texts.map(plain));
    expect(joined(texts).equals(frames)).toBe(true);
    expect(joined(texts.map((text, index) => (index % 2 === 0 ? text : plain(text)))).equals(frames)).toBe(true);
    expect(joined([frames])).toBe(frames);
  });

  it('is compressed only where that is on, above the size, and shorter', () => {
    const text = frameText('{', 'abc'.repeat(67).slice(1));
    expect(frameEncoder(0).compressed(text)).toBeUndefined();
    expect(frameEncoder(201).compressed(text)).toBeUndefined();
    const frame = frameEncoder(200).compressed(text);
    expect(frame?.[0]).toBe(0xc1);
    expect(frame?.length).toBeLessThan(50);
    expect(frameEncoder(1).compressed(frameText('{', '}'))).toBeUndefined();
  });
});

/** As RFC 6455 has it, from the bytes alone. */
function expected(text: string): Buffer {
  const payload = Buffer.from(text);
  const header = Buffer.alloc(payload.length < 126 ? 2 : payload.length < 65_536 ? 4 : MAX_HEADER_BYTES, 0x81);
  if (header.length === 2) header.writeUInt8(payload.length, 1);
  else header.writeUInt8(header.length === 4 ? 126 : 127, 1);
  if (header.length === 4) header.writeUInt16BE(payload.length, 2);
  if (header.length === MAX_HEADER_BYTES) header.writeBigUInt64BE(BigInt(payload.length), 2);
  return Buffer.concat([header, payload]);
}

describe('several parts', () => {
  const odd = ['\0', '\x7f', '\x80', '\x81', 'é', '\xff', 'Ā', '\u2028', '\ufeff', '\ud800', '\udc00', '🦔'];
  const length = fc.oneof(fc.nat(200), fc.constantFrom(123, 124, 125, 126, 127, 65_533, 65_534, 65_535, 65_536));
  const text = fc
    .tuple(length, fc.oneof({ weight: 3, arbitrary: fc.constant('') }, fc.constantFrom(...odd)), fc.boolean())
    .map(([count, character, ahead]) => (ahead ? character + 'x'.repeat(count) : 'x'.repeat(count) + character));
  const kind = fc.constantFrom('string', 'text', 'bytes', 'ready', 'split');

  it('are the frames of each, whichever kind they are', () => {
    const partOf = (whole: string, as: string): string | FramePart => {
      if (as === 'string') return whole;
      if (as === 'ready') return expected(whole);
      if (as === 'text') return frameText('', whole);
      if (as === 'bytes') return frameText('', Buffer.from(whole));
      const headChars = /^[\0-\x7f]{0,100}/.exec(whole)?.[0].length ?? 0;
      return frameText(whole.slice(0, headChars), whole.slice(headChars));
    };
    fc.assert(
      fc.property(fc.array(fc.tuple(text, kind), { maxLength: 8 }), (parts) => {
        const joined = joinedFrames(parts.map(([whole, as]) => partOf(whole, as)));
        expect(joined.equals(Buffer.concat(parts.map(([whole]) => expected(whole))))).toBe(true);
      }),
      { numRuns: 500, seed: 1 },
    );
  });

  it('are the same compressed, whether their tail is text or bytes', () => {
    const { compressed } = frameEncoder(1);
    fc.assert(
      fc.property(text, (tail) => {
        const frame = compressed(frameText('{"offset":1', tail));
        expect(frame).toEqual(compressed(frameText('{"offset":1', Buffer.from(tail))));
      }),
      { numRuns: 100, seed: 1 },
    );
  });
});
