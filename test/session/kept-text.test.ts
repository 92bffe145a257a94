import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, test } from 'vitest';
import { plainSend } from '../../src/protocol/plain-send.js';
import { EntryRing } from '../../src/session/entry-ring.js';
import { messageTail } from '../../src/session/message-frame.js';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** By how much the heap has grown with what `make` returns. */
function grownBytes(make: () => unknown): number {
  collect();
  const before = process.memoryUsage().heapUsed;
  const kept = make();
  collect();
  const grown = process.memoryUsage().heapUsed - before;
  expect(kept).toBeDefined();
  return grown;
}

function sent(sessionId: string, data: string, more: object = {}) {
  const frame = Buffer.from(JSON.stringify({ type: 'send', ...more, session_id: sessionId, data }));
  const request = plainSend(frame.toString(), frame.length);
  if (request === undefined) throw new Error('not a plain send');
  return request;
}

test('a session id that is kept does not keep its frame', () => {
  const ids = () =>
    Array.from({ length: 200 }, (_, n) => sent(`namespace:session-${n}`, 'x'.repeat(60_000)).session_id);
  expect(grownBytes(ids)).toBeLessThan(1_000_000);
});

test('an entry of a history keeps its text and not the frame that it came in', () => {
  const ring = () => {
    const entries = new EntryRing();
    for (let n = 0; n < 5_000; n++) {
      const { payload } = sent('s'.repeat(128), `${n}`.repeat(8), { id: 'i'.repeat(128) });
      const { tail, bytes } = messageTail({ ownerEpoch: 1_789_999_999_123_456 + n }, payload);
      entries.push(n, tail, bytes);
    }
    return entries;
  };
  expect(grownBytes(ring) / 5_000).toBeLessThan(250);
});
