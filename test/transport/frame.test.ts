import { once } from 'node:events';
import { PassThrough, type Writable } from 'node:stream';
import { expect, it } from 'vitest';
import * as ws from 'ws';
import { textFrame } from '../../src/transport/frame.js';

// Not in the types of ws.
const { Receiver } = ws as unknown as { Receiver: new (options: { isServer: boolean }) => Writable };

it.each([0, 1, 125, 126, 127, 65_535, 65_536, 200_000])('a frame of %i bytes is what ws reads', async (length) => {
  for (const payload of ['x'.repeat(length), 'ü'.repeat(length / 2)]) {
    const receiver = new Receiver({ isServer: false });
    const stream = new PassThrough();
    const message = once(receiver, 'message') as Promise<[Buffer, boolean]>;
    stream.pipe(receiver);
    stream.write(textFrame(payload));
    const [data, isBinary] = await message;
    expect(data.toString()).toBe(payload);
    expect(isBinary).toBe(false);
  }
});
