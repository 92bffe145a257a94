import type { MessageItem } from '../../src/session/message-ports.js';

/** A message with that tail and nothing else to say. */
export function messageItem(tail: string, more: Partial<MessageItem> = {}): MessageItem {
  return {
    tail,
    bytes: Buffer.byteLength(tail),
    ephemeral: false,
    owner: undefined,
    expectedOwnerEpoch: undefined,
    expectedOffset: undefined,
    idempotency: undefined,
    ...more,
  };
}
