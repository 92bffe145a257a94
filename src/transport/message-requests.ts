/** Readers of what the application's backend publishes. All throw HoldfastError `invalid_field`. */
import type { NewMessage } from '../protocol/http.js';
import { payloadOf } from '../protocol/payload.js';
import { isSessionId, SESSION_ID_RULE } from '../protocol/session-id.js';
import {
  IDEMPOTENCY_KEY,
  isObject,
  type JsonObject,
  optionalBoolean,
  optionalInteger,
  optionalText,
  own,
  refuse,
} from '../protocol/validate.js';

const MAX_BATCH = 1_000;
const MAX_IDEMPOTENCY_MS = 300_000;

export type PublishItem = NewMessage & { session_id: string };

export interface PublishRequest {
  messages: PublishItem[];
  /** One that was not sent as a list, and is not answered with one. */
  single: boolean;
}

export function sessionIdOf(text: unknown, field = 'session_id'): string {
  return isSessionId(text) ? text : refuse(field, SESSION_ID_RULE);
}

/**
 * One message or a list of them. A request with a wrong one publishes none.
 * @param key the header `Idempotency-Key`: of a list, for those without a key of their own
 * @param sessionId of the path; absent where each message names its session
 */
export function publishRequest(body: JsonObject, key: string | undefined, sessionId?: string): PublishRequest {
  if (key !== undefined && !IDEMPOTENCY_KEY.pattern.test(key)) refuse('Idempotency-Key', IDEMPOTENCY_KEY.rule);
  const list = own(body, 'messages');
  if (list === undefined && sessionId !== undefined) {
    const message = item(body, '', key, sessionId);
    const differs = key !== undefined && message.idempotency_key !== key;
    return differs ? refuse('idempotency_key', 'the same as in the header') : { messages: [message], single: true };
  }
  if (Object.hasOwn(body, 'data') || Object.hasOwn(body, 'bytes')) refuse('messages', 'all that is there');
  if (!Array.isArray(list) || list.length === 0 || list.length > MAX_BATCH) {
    refuse('messages', `an array of 1 to ${MAX_BATCH} messages`);
  }
  const messages = list.map((entry: unknown, index): PublishItem => {
    const path = `messages[${index}]`;
    const itsKey = key === undefined ? undefined : `${key}:${index}`;
    return item(isObject(entry) ? entry : refuse(path, 'an object'), `${path}.`, itsKey, sessionId);
  });
  return { messages, single: false };
}

function item(given: JsonObject, path: string, key: string | undefined, pathsSession?: string): PublishItem {
  const field = `${path}session_id`;
  const named = own(given, 'session_id');
  // Ignored, it would go to another session than it says.
  if (pathsSession !== undefined && (named ?? pathsSession) !== pathsSession) refuse(field, 'that of the path');
  const ephemeral = optionalBoolean(given, 'ephemeral', path);
  const idempotencyKey = optionalText(given, 'idempotency_key', IDEMPOTENCY_KEY, path) ?? key;
  const idempotencyMs = optionalInteger(given, 'idempotency_ms', 1_000, path, MAX_IDEMPOTENCY_MS);
  const expectedOwnerEpoch = optionalInteger(given, 'expected_owner_epoch', 0, path);
  const expectedOffset = optionalInteger(given, 'expected_offset', 0, path);
  const session_id = pathsSession ?? sessionIdOf(named, field);
  const payload = payloadOf(given, path);
  // Without spreads: these are many.
  const message: PublishItem =
    'bytes' in payload ? { session_id, bytes: payload.bytes } : { session_id, data: payload.data };
  if (ephemeral !== undefined) message.ephemeral = ephemeral;
  if (idempotencyKey !== undefined) message.idempotency_key = idempotencyKey;
  if (idempotencyMs !== undefined) message.idempotency_ms = idempotencyMs;
  if (expectedOwnerEpoch !== undefined) message.expected_owner_epoch = expectedOwnerEpoch;
  if (expectedOffset !== undefined) message.expected_offset = expectedOffset;
  return message;
}
