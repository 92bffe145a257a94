import { expect, test } from 'vitest';
import type { MessageBatch } from '../../src/session/message-ports.js';
import type { SignalNotice, TransferOffer } from '../../src/session/ports.js';
import { decodeEvent, encodeNotice } from '../../src/store/redis/events.js';

const decode = (payload: string) => decodeEvent('chat:1', Buffer.from(payload));

const fields = ['o', '1795234800000123', '7', 'owned', 'forced', 'c_2', 'node-2', 'c_1', '2000', '1000', 'r_1'];

test('an ownership event is read in full, with whatever its principal contains', () => {
  const principal = 'a\tb\nc “d”';
  expect(decode([...fields, principal].join('\t'))).toEqual({
    kind: 'ownership',
    sessionId: 'chat:1',
    epoch: 1_795_234_800_000_123,
    rev: 7,
    state: 'owned',
    reason: 'forced',
    connectionId: 'c_2',
    nodeId: 'node-2',
    previousConnectionId: 'c_1',
    deadlineMs: 2000,
    nowMs: 1000,
    requestId: 'r_1',
    principal,
  });
});

test('an offer comes back as it was', () => {
  const offer: TransferOffer = {
    kind: 'transfer_offer',
    sessionId: 'chat:1',
    requestId: 'r_1',
    lockValue: 'abc',
    expectedEpoch: 1_795_234_800_000_123,
    target: { principal: 'a\tb' },
  };
  expect(decode(encodeNotice(offer))).toEqual(offer);
});

test('a kind of a later version is ignored, a broken event is an error', () => {
  expect(decode('z\twhatever')).toBeUndefined();
  expect(() => decode(fields.slice(0, 8).join('\t'))).toThrow(SyntaxError);
});

test('a notice of a kind that this version does not know is dropped', () => {
  expect(decode('x{"kind":"presence_check","sessionId":"chat:1","target":{}}')).toBeUndefined();
});

test('a signal comes back as it was', () => {
  const signal: SignalNotice = {
    kind: 'signal',
    sessionId: 'chat:1',
    connectionId: 'c_1',
    principal: 'alice',
    payload: { data: { stop: ['a\tb', '🦔'] } },
  };
  expect(decode(encodeNotice(signal))).toEqual(signal);
});

test('a batch is read without decoding its messages, whatever they contain', () => {
  const payload = Buffer.from('m\t1795234800000123\t1000\ts41\t6\ta\tü\n1e41\t0\ts42\t4\t🦔');
  const batch = decodeEvent('chat:1', payload) as MessageBatch;
  expect(batch).toEqual({
    kind: 'messages',
    sessionId: 'chat:1',
    epoch: '1795234800000123',
    atMs: 1000,
    messages: [
      { offset: 41, ephemeral: false, tail: Buffer.from('a\tü\n1'), bytes: 6 },
      { offset: 41, ephemeral: true, tail: Buffer.alloc(0), bytes: 0 },
      { offset: 42, ephemeral: false, tail: Buffer.from('🦔'), bytes: 4 },
    ],
  });
  const last = batch.messages[2]?.tail as Buffer;
  expect(last?.buffer).toBe(payload.buffer);
  expect(last?.byteOffset).toBe(payload.byteOffset + payload.indexOf('🦔'));
});

test('a batch that is cut off is an error', () => {
  const payload = Buffer.from('m\t1\t1000\ts41\t6\tabcdef');
  for (let bytes = 1; bytes < payload.length; bytes += 1) {
    const whole = bytes === 'm\t1\t1000\t'.length;
    const read = () => decodeEvent('chat:1', payload.subarray(0, bytes));
    if (whole) expect(read()).toMatchObject({ messages: [] });
    else expect(read).toThrow(SyntaxError);
  }
});

test('who came and went is read with whatever the principal contains', () => {
  const principal = 'a\tb\nc “d”';
  const presence = { kind: 'presence', sessionId: 'chat:1', rev: 7, count: 3, principal };
  expect(decode(`p\tjoined\t7\t3\t${principal}`)).toEqual({ ...presence, event: 'joined' });
  expect(decode(`p\tleft\t7\t3\t${principal}`)).toEqual({ ...presence, event: 'left' });
  expect(() => decode('p\tleft\t7')).toThrow(SyntaxError);
});
