import { sha256 } from '../crypto/hash.js';
import type { NewMessage } from '../protocol/http.js';
import type { Payload } from '../protocol/messages.js';
import { messageTail, payloadText } from './message-frame.js';
import type { MessageItem } from './message-ports.js';

/**
 * An application's message as it is appended, so that a repeat is known whichever way it comes.
 * @param carried what of the message is its payload, and nothing else
 * @throws HoldfastError `invalid_field` for data that is nested too deep
 */
export function publicationOf(sessionId: string, message: NewMessage, carried: Payload): MessageItem {
  const { ephemeral = false, idempotency_key: key, idempotency_ms: keepMs } = message;
  const { expected_owner_epoch: expectedOwnerEpoch, expected_offset: expectedOffset } = message;
  const payload = payloadText(carried);
  const idempotency = idempotencyOf(key, payload, 'publish', sessionId);
  return {
    tail: messageTail({ ephemeral }, payload),
    ephemeral,
    ...(expectedOwnerEpoch !== undefined && { expectedOwnerEpoch }),
    ...(expectedOffset !== undefined && { expectedOffset }),
    ...(idempotency !== undefined && { idempotency: { ...idempotency, ...(keepMs !== undefined && { keepMs }) } }),
  };
}

/** @param of whose key it is, and for which session */
export function idempotencyOf(key: string | undefined, payload: string, ...of: [label: string, ...parts: string[]]) {
  if (key === undefined) return undefined;
  return { hash: sha256(...of, key).slice(0, 22), fingerprint: sha256('payload', payload).slice(0, 11) };
}
