import { once } from 'node:events';
import { PassThrough, type Writable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import * as ws from 'ws';
import { frameText } from '../../src/session/frame-encoder.js';
import { frameEncoder, textFrame } from '../../src/transport/frame.js';

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
