import { setImmediate as nextTurn } from 'node:timers/promises';
import { constants, inflateRawSync } from 'node:zlib';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { messageHead, messageStart } from '../../src/session/message-frame.js';
import type { MessageBatch } from '../../src/session/message-ports.js';
import { frameEncoder } from '../../src/transport/frame.js';
import { FakeSubscriber } from './domain-harness.js';
import { SID, startStream, turns } from './stream-harness.js';

const FLUSH_MARK = Buffer.from([0, 0, 0xff, 0xff]);
const FLUSHED = { finishFlush: constants.Z_SYNC_FLUSH } as const;

/** A connection that reads the frames that it was sent. */
class Reader extends FakeSubscriber {
  readonly texts: string[] = [];

  override sendFrames(frames: Buffer): void {
    if (this.stalled) this.queuedBytes += frames.length;
    for (let at = 0; at < frames.length; ) {
      const short = frames.readUInt8(at + 1);
      const bytes =
        short < 126 ? short : short === 126 ? frames.readUInt16BE(at + 2) : Number(frames.readBigUInt64BE(at + 2));
      const from = at + (short < 126 ? 2 : short === 126 ? 4 : 10);
      const payload = frames.subarray(from, from + bytes);
      const deflated = frames[at] === 0xc1;
      if (deflated) expect(this.compresses).toBe(true);
      else expect(frames[at]).toBe(0x81);
      const text = deflated ? inflateRawSync(Buffer.concat([payload, FLUSH_MARK]), FLUSHED) : payload;
      this.texts.push(text.toString());
      at = from + bytes;
    }
  }
}

/** As it comes from another process. */
function asBytes(batch: MessageBatch): MessageBatch {
  return { ...batch, messages: batch.messages.map((it) => ({ ...it, tail: Buffer.from(it.tail) })) };
}

const filling = fc
  .tuple(
    fc.constantFrom('x', 'x', 'x', '\x7f', '\x80', '\xff', 'é', '\u2028', '🦔'),
    fc.constantFrom(0, 1, 10, 31, 32, 33, 34, 35, 36, 37, 500, 32_000, 65_440, 65_470),
  )
  .map(([character, count]) => 'x'.repeat(count) + character);

const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('publish'), count: fc.integer({ min: 1, max: 4 }), filling }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('miss'), count: fc.integer({ min: 1, max: 2 }), filling }) },
  fc.record({ do: fc.constant('join'), compresses: fc.constantFrom(false, false, false, true), all: fc.boolean() }),
  fc.record({ do: fc.constant('stall'), who: fc.nat(5) }),
  fc.record({ do: fc.constant('drain'), who: fc.nat(5) }),
  { weight: 3, arbitrary: fc.record({ do: fc.constant('turn') }) },
);

it('everybody reads each message once, in order and as it was written, whether tails are text or bytes', () =>
  fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), fc.boolean(), async (steps, bytes) => {
      const { store, stream, write, join } = startStream({ lagBytes: 20_000, frames: frameEncoder(200) });
      const written: string[] = [];
      const readers: { reader: Reader; from: number }[] = [];
      const enter = (compresses: boolean, all: boolean): void => {
        const reader = new Reader('ann');
        reader.compresses = compresses;
        readers.push({ reader, from: join(all ? 'oldest' : undefined, reader).begins.offset });
      };
      const publish = (count: number, text: string): MessageBatch => {
        const batch = write(count, text);
        for (const { offset, tail } of batch.messages) {
          written.push(messageHead(messageStart(SID), offset, batch.atMs) + tail.toString());
        }
        return bytes ? asBytes(batch) : batch;
      };

      for (const taken of steps) {
        if ('compresses' in taken) enter(taken.compresses, taken.all);
        else if ('who' in taken) {
          const reader = readers[taken.who]?.reader;
          if (reader !== undefined) reader.stalled = taken.do === 'stall';
          if (taken.do === 'drain') reader?.drain();
        } else if ('filling' in taken) {
          const batch = publish(taken.count, taken.filling);
          if (taken.do === 'publish') stream.receive(batch);
        } else await nextTurn();
      }

      stream.receive(publish(1, 'last'));
      for (let left = 20; left > 0; left--) {
        for (const { reader } of readers) {
          reader.stalled = false;
          reader.drain();
        }
        await turns();
      }
      for (const { reader, from } of readers) expect(reader.texts).toEqual(written.slice(from));
      expect(store.state.top).toBe(written.length);
      stream.close();
    }),
    { numRuns: 200, seed: 1 },
  ));
