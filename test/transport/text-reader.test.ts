import { once } from 'node:events';
import type { Writable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { constants, deflateRawSync } from 'node:zlib';
import fc from 'fast-check';
import { afterAll, expect, it, onTestFinished, vi } from 'vitest';
import * as ws from 'ws';
import { systemClock } from '../../src/lib/clock.js';
import { GatewaySocket } from '../../src/transport/connection.js';
import { type TextListener, textReader } from '../../src/transport/text-reader.js';
import { fakeAuthentication } from './fake-logins.js';
import { connected, rawSocket, startGateway, until, upgradeHead } from './gateway.js';

/** So that the forms of the length meet it. */
const MAX_PAYLOAD = 65_000;

/** What of `ws` has no types. */
interface Internals {
  Receiver: new (options: object) => Writable;
  PerMessageDeflate: new (options: object) => { accept(offers: object[]): void };
}
const { Receiver, PerMessageDeflate } = ws as unknown as Internals;

interface Frame {
  /** FIN, RSV and opcode. */
  first: number;
  payload: Buffer;
  mask: Uint8Array | undefined;
  /** Which form the length has, if it need not be the shortest. */
  form?: number;
}

function bytesOf({ first, payload, mask, form = 0 }: Frame): Buffer {
  const { length } = payload;
  const size = Math.max(form, length < 126 ? 0 : length < 65_536 ? 126 : 127);
  const head = Buffer.alloc(size === 0 ? 2 : size === 126 ? 4 : 10);
  head[0] = first;
  head[1] = (mask === undefined ? 0 : 0x80) | (size === 0 ? length : size);
  if (size === 126) head.writeUInt16BE(length, 2);
  if (size === 127) head.writeBigUInt64BE(BigInt(length), 2);
  if (mask === undefined) return Buffer.concat([head, payload]);
  return Buffer.concat([head, mask, payload.map((byte, index) => byte ^ (mask[index % 4] ?? 0))]);
}

const masks = fc.oneof(fc.constant(new Uint8Array(4)), fc.uint8Array({ minLength: 4, maxLength: 4 }));
const texts = fc
  .oneof(
    fc.string({ maxLength: 20 }),
    fc.string({ unit: 'grapheme', maxLength: 200 }),
    fc.constantFrom('', '\ufffd', '\ufeffb', 'x'.repeat(125), 'x'.repeat(126), 'é'.repeat(300), 'x'.repeat(64_000)),
  )
  .map((text) => Buffer.from(text));
const shortest = fc.constant(0);
const frame = (first: number, payload: fc.Arbitrary<Buffer>, form = fc.constantFrom(0, 0, 0, 0, 126, 127)) =>
  fc.record({ first: fc.constant(first), payload, mask: masks, form });
const short = fc.uint8Array({ maxLength: 20 }).map((bytes) => Buffer.from(bytes));

const text = frame(0x81, texts);
const compressed = frame(
  0xc1,
  texts.map((payload) => deflateRawSync(payload, { finishFlush: constants.Z_SYNC_FLUSH }).subarray(0, -4)),
);
const control = fc.oneof(frame(0x89, short, shortest), frame(0x8a, short, shortest));
const parts = fc
  .tuple(frame(0x01, texts), control, frame(0x00, texts), frame(0x80, texts))
  .map(([opening, ping, middle, end]) => [opening, ping, middle, end]);
const one = (of: fc.Arbitrary<Frame>) => of.map((it) => [it]);
const wrong = fc.oneof(
  frame(0x81, fc.constantFrom(Buffer.from('a\xffb', 'latin1'), Buffer.from([0xed, 0xa0, 0x80]))),
  frame(0x81, fc.constant(Buffer.alloc(MAX_PAYLOAD + 1, 'x'))),
  frame(0x80, texts),
  frame(0x83, texts),
  frame(0xa1, texts),
  text.map(({ first, payload }) => ({ first, payload, mask: undefined })),
  fc.tuple(frame(0x01, texts), text).map(([opening, it]) => [opening, it]),
);
const codes = fc.constantFrom(Buffer.alloc(0), Buffer.from([3, 232]), Buffer.from([0, 1]));
const close = frame(0x88, codes, shortest);

/** What a client sends, and where it is cut into what the socket reads. */
const sent = fc.record({
  frames: fc.array(
    fc.oneof(
      { weight: 20, arbitrary: one(text) },
      { weight: 2, arbitrary: one(control) },
      { weight: 1, arbitrary: one(compressed) },
      { weight: 1, arbitrary: one(frame(0x82, short)) },
      { weight: 1, arbitrary: parts },
      { weight: 1, arbitrary: wrong.map((it) => [it].flat()) },
      { weight: 1, arbitrary: one(close) },
    ),
    { minLength: 1, maxLength: 12 },
  ),
  cuts: fc.array(fc.oneof(fc.nat(20), fc.nat(300)), { minLength: 1, maxLength: 8 }),
});

function chunksOf({ frames, cuts }: { frames: Frame[][]; cuts: number[] }): Buffer[] {
  const bytes = Buffer.concat(frames.flat().map(bytesOf));
  const chunks: Buffer[] = [];
  for (let at = 0, index = 0; at < bytes.length; index++) {
    // The last is the rest, so that most of it is read at once.
    const length = index < cuts.length ? (cuts[index] ?? 0) : bytes.length;
    chunks.push(Buffer.from(bytes.subarray(at, at + length)));
    at += length;
  }
  return chunks;
}

/** @returns what is told of the chunks, in its order, how much of it by ourselves, and what `ws` still holds */
async function told(
  chunks: Buffer[],
  byUs: boolean,
  written: 'one by one' | 'at once' = 'one by one',
): Promise<{ events: unknown[]; ours: number; held: unknown }> {
  const deflate = new PerMessageDeflate({ isServer: true, maxPayload: MAX_PAYLOAD });
  deflate.accept([{ client_no_context_takeover: [true], server_no_context_takeover: [true] }]);
  const extensions = { 'permessage-deflate': deflate };
  const receiver = new Receiver({ isServer: true, maxPayload: MAX_PAYLOAD, maxFragments: 8, extensions });
  const events: unknown[] = [];
  let ours = 0;
  const listener: TextListener = {
    receive(received, bytes) {
      ours++;
      events.push(['text', received, bytes]);
    },
  };
  receiver.on('message', (data: Buffer, isBinary: boolean) =>
    events.push(isBinary ? ['binary', data.toString('hex')] : ['text', data.toString(), data.length]),
  );
  for (const event of ['ping', 'pong'])
    receiver.on(event, (data: Buffer) => events.push([event, data.toString('hex')]));
  receiver.on('conclude', (code: number) => events.push(['conclude', code]));
  receiver.on('error', ({ code }: Error & { code: string }) => events.push(['error', code]));
  if (byUs) textReader(MAX_PAYLOAD)({ _receiver: receiver } as unknown as ws.WebSocket, listener);
  for (const chunk of chunks) {
    if (receiver.destroyed || receiver.writableEnded) break;
    const writing = new Promise((resolve) => receiver.write(chunk, resolve));
    if (written === 'one by one' || chunk === chunks.at(-1)) await writing;
  }
  return { events, ours, held: Reflect.get(receiver, '_buffers') };
}

it('tells the same in the same order as ws alone, however it is cut', async () => {
  let ours = 0;
  const property = fc.asyncProperty(sent, async (what) => {
    const [alone, together] = [await told(chunksOf(what), false), await told(chunksOf(what), true)];
    expect(together.events).toEqual(alone.events);
    ours += together.ours;
  });
  await fc.assert(property, { numRuns: 150 });
  expect(ours).toBeGreaterThan(100);
});

function masked(payload: string | Buffer, mask = Buffer.from([1, 2, 3, 4]), first = 0x81): Buffer {
  return bytesOf({ first, payload: Buffer.from(payload), mask });
}

/** Where a chunk begins in the middle of a frame, and looks as if a text began there. */
const LOOKS_LIKE_TEXT = Buffer.from([0x81, 0x80, 0, 0]);
const closing = masked(Buffer.from([3, 232]), undefined, 0x88);

it.each<[string, Buffer, number]>([
  ['a frame cut behind its first byte', Buffer.concat([masked('a', LOOKS_LIKE_TEXT), masked('another')]), 1],
  ['a frame cut before its mask', masked('one and more', LOOKS_LIKE_TEXT), 2],
  ['a text between the parts of another', Buffer.concat([masked('part', undefined, 0x01), masked('whole')]), 10],
  [
    'a wrong text cut before its end, and one behind it',
    Buffer.concat([masked(Buffer.from([97, 255])), masked('late')]),
    7,
  ],
  ['a close cut before its end, and a text behind it', Buffer.concat([closing, masked('late')]), 7],
  ['what is UTF-8 only as long as it is masked', masked(Buffer.from([255, 254]), Buffer.from([158, 159, 0, 0])), 0],
  ['a text as long as may be', masked('x'.repeat(MAX_PAYLOAD)), 0],
  ['one that is longer', masked('x'.repeat(MAX_PAYLOAD + 1)), 0],
])('tells the same of %s', async (_what, bytes, cut) => {
  const chunks = () => [bytes.subarray(0, cut), bytes.subarray(cut)].map((chunk) => Buffer.from(chunk));
  const alone = await told(chunks(), false);
  expect(alone.events).not.toEqual([]);
  expect((await told(chunks(), true)).events).toEqual(alone.events);
});

it('goes on where a frame that was cut ends', async () => {
  const bytes = Buffer.concat(Array.from({ length: 300 }, (_, index) => masked(`message ${index} ${'x'.repeat(150)}`)));
  const chunks = [bytes.subarray(0, 20_030), bytes.subarray(20_030), masked('last')];
  const { events, ours, held } = await told(chunks, true);
  expect(events).toHaveLength(301);
  expect(ours).toBe(300);
  expect(held).toEqual([]);
});

it('reads what a gateway is sent, with the release of ws that is installed', async () => {
  const emit = vi.spyOn(GatewaySocket.prototype, 'emit');
  onTestFinished(() => emit.mockRestore());
  const { port } = await startGateway();
  const client = await connected(port);
  client.send({ type: 'ping', id: 'one' });
  await client.next();
  expect(emit.mock.calls.filter(([event]) => event === 'message')).toEqual([]);
});

const inflated = (payload: string) =>
  masked(deflateRawSync(payload, { finishFlush: constants.Z_SYNC_FLUSH }).subarray(0, -4), undefined, 0xc1);

it('tells nothing behind an error, also of what was read while ws inflated', async () => {
  const { events } = await told(
    [inflated('first'), Buffer.from([0x83, 0x80]), masked('one'), masked('two')],
    true,
    'at once',
  );
  expect(events).toEqual([
    ['text', 'first', 5],
    ['error', 'WS_ERR_INVALID_OPCODE'],
  ]);
});

const { live, authentication } = await fakeAuthentication(systemClock);
afterAll(() => live.stop());

it.each([
  ['accepted', {}],
  ['refused', { authentication }],
])(
  'a gateway that inflates outlives an error with more behind it, of a connection that is %s',
  async (_what, options) => {
    const { port, server } = await startGateway({ ...options, limits: { compressAboveBytes: 1 } });
    const socket = await rawSocket(port);
    socket.setNoDelay().write(upgradeHead('Sec-WebSocket-Extensions: permessage-deflate\r\n'));
    await once(socket, 'data');
    socket.write(Buffer.concat(Array<Buffer>(100).fill(inflated('x'.repeat(4_000)))));
    for (const more of [masked(Buffer.from([255])), Buffer.from([0x81])]) {
      await sleep(1);
      socket.write(more);
    }
    await once(socket, 'close');
    await until(() => server.connections().size === 0);
  },
);

it.each(['_state', '_payloadLength', '_opcode', '_errored'])('leaves all to a ws that has no field %s', (field) => {
  const receiver = Object.assign(new Receiver({ isServer: true }), { [field]: undefined });
  textReader(MAX_PAYLOAD)({ _receiver: receiver } as unknown as ws.WebSocket, { receive() {} });
  expect(Object.hasOwn(receiver, '_write')).toBe(false);
});

it('leaves all to a ws that has no receiver', () => {
  expect(() => textReader(MAX_PAYLOAD)({} as ws.WebSocket, { receive() {} })).not.toThrow();
});
