import { once } from 'node:events';
import { PassThrough, type Writable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import * as ws from 'ws';
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
    const tail = 'ü'.repeat(length / 2);
    for (const head of ['', '{"offset":1', 'x'.repeat(126)]) {
      expect(await read(plain(head, Buffer.from(tail)))).toBe(head + tail);
    }
  });

  it('is compressed only where that is on, above the size, and shorter', () => {
    const tail = Buffer.alloc(200, 'abc');
    expect(frameEncoder(0).compressed('{', tail)).toBeUndefined();
    expect(frameEncoder(201).compressed('{', tail)).toBeUndefined();
    const frame = frameEncoder(200).compressed('{', tail);
    expect(frame?.[0]).toBe(0xc1);
    expect(frame?.length).toBeLessThan(50);
    expect(frameEncoder(1).compressed('{', Buffer.from('}'))).toBeUndefined();
  });
});
