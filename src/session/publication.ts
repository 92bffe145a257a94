import { sha256 } from '../crypto/hash.js';
import type { NewMessage } from '../protocol/http.js';
import type { Payload, PayloadText } from '../protocol/messages.js';
import { payloadText } from '../protocol/payload.js';
import { messageTail } from './message-frame.js';
import type { MessageItem } from './message-ports.js';

/**
 * An application's message as it is appended, so that a repeat is known whichever way it comes.
 * @param carried what of the message is its payload, and nothing else
 */
export function publicationOf(sessionId: string, message: NewMessage, carried: Payload): MessageItem {
  const { ephemeral = false, idempotency_key: key, idempotency_ms: keepMs } = message;
  const payload = payloadText(carried);
  const { tail, bytes } = messageTail({ ephemeral }, payload);
  const idempotency = idempotencyOf(key, payload, 'publish', sessionId);
  return {
    tail,
    bytes,
    ephemeral,
    owner: undefined,
    expectedOwnerEpoch: message.expected_owner_epoch,
    expectedOffset: message.expected_offset,
    idempotency: idempotency && { ...idempotency, keepMs },
  };
}

/** @param of whose key it is, and for which session */
export function idempotencyOf(
  key: string | undefined,
  { text }: PayloadText,
  ...of: [label: string, ...parts: string[]]
) {
  if (key === undefined) return undefined;
  return { hash: sha256(...of, key).slice(0, 22), fingerprint: sha256('payload', text).slice(0, 11) };
}
