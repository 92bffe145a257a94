import { expect, test } from 'vitest';
import type { TransferOffer } from '../../src/session/ports.js';
import { decodeEvent, encodeNotice } from '../../src/store/redis/events.js';

const fields = ['o', '1795234800000123', '7', 'owned', 'forced', 'c_2', 'node-2', 'c_1', '2000', '1000', 'r_1'];

test('an ownership event is read in full, with whatever its principal contains', () => {
  const principal = 'a\tb\nc “d”';
  expect(decodeEvent('chat:1', [...fields, principal].join('\t'))).toEqual({
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
  expect(decodeEvent('chat:1', encodeNotice(offer))).toEqual(offer);
});

test('a kind of a later version is ignored, a broken event is an error', () => {
  expect(decodeEvent('chat:1', 'z\twhatever')).toBeUndefined();
  expect(() => decodeEvent('chat:1', fields.slice(0, 8).join('\t'))).toThrow(SyntaxError);
});

test('a notice of a kind that this version does not know is dropped', () => {
  expect(decodeEvent('chat:1', 'x{"kind":"presence_check","sessionId":"chat:1","target":{}}')).toBeUndefined();
});
