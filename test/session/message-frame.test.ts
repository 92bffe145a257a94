import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { payloadText } from '../../src/protocol/payload.js';
import { messageHead, messageStart, messageTail, storedMessage } from '../../src/session/message-frame.js';

describe('a message frame', () => {
  it('says who sent it, at which epoch, and that it is not kept', () => {
    const payload = payloadText({ data: { text: 'hi "there"' } });
    const { tail } = messageTail({ ephemeral: true, ownerEpoch: 7, principal: 'al"ice' }, payload);
    expect(JSON.parse(messageHead(messageStart('doc:1'), 3, 1_000) + tail)).toEqual({
      type: 'message',
      session_id: 'doc:1',
      offset: 3,
      at: 1_000,
      ephemeral: true,
      owner_epoch: 7,
      principal: 'al"ice',
      data: { text: 'hi "there"' },
    });
  });

  it('has only what there is to say', () => {
    const { tail } = messageTail({ ephemeral: false }, payloadText({ bytes: 'AAE=' }));
    expect(messageHead(messageStart('s'), 0, 5) + tail).toBe(
      '{"type":"message","session_id":"s","offset":0,"at":5,"bytes":"AAE="}',
    );
  });

  it('carries any JSON, over the history too', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.string({ unit: 'binary' }), (data, principal) => {
        const { tail, bytes } = messageTail({ ownerEpoch: 2, principal }, payloadText({ data }));
        const entry = { offset: 9, atMs: 8, tail: Buffer.from(tail) };
        expect(bytes).toBe(entry.tail.length);
        // What JSON itself cannot tell apart, as -0 and 0, counts as equal.
        const expected: unknown = JSON.parse(JSON.stringify({ offset: 9, at: 8, owner_epoch: 2, principal, data }));
        expect(storedMessage(entry)).toEqual(expected);
      }),
    );
  });

  it('has text as JSON has it', () => {
    const expectJson = (data: string): void => {
      const { text, bytes = Buffer.byteLength(text) } = payloadText({ data });
      expect({ text, bytes }).toEqual({ text: `,"data":${JSON.stringify(data)}}`, bytes: Buffer.byteLength(text) });
    };
    const special = ['"', '\\', '\0', '\x1f', '\x7f', '\u2028', '\ud800', '\udfff', '🦔'];
    for (const character of special) expectJson(`a${character}b`);
    fc.assert(fc.property(fc.string({ unit: 'binary' }), expectJson));
  });

  it('keeps lone surrogates and prototype keys', () => {
    const data: unknown = JSON.parse('{"__proto__":{"a":1},"x":"\\ud800"}');
    const { tail } = messageTail({}, payloadText({ data }));
    expect(Buffer.from(tail).toString()).toBe(tail);
    expect(tail).toBe(',"data":{"__proto__":{"a":1},"x":"\\ud800"}}');
  });
});
