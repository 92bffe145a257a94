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
  refuseWithin,
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
    const message = item(body, key, sessionId);
    const differs = key !== undefined && message.idempotency_key !== key;
    return differs ? refuse('idempotency_key', 'the same as in the header') : { messages: [message], single: true };
  }
  if (Object.hasOwn(body, 'data') || Object.hasOwn(body, 'bytes')) refuse('messages', 'all that is there');
  if (!Array.isArray(list) || list.length === 0 || list.length > MAX_BATCH) {
    refuse('messages', `an array of 1 to ${MAX_BATCH} messages`);
  }
  let last: string | undefined;
  const messages = list.map((entry: unknown, index): PublishItem => {
    if (!isObject(entry)) refuse(`messages[${index}]`, 'an object');
    const itsKey = key === undefined ? undefined : `${key}:${index}`;
    try {
      const message = item(entry, itsKey, sessionId, last);
      last = message.session_id;
      return message;
    } catch (error) {
      // A path for each would cost as much as all the rest.
      return refuseWithin(`messages[${index}]`, error);
    }
  });
  return { messages, single: false };
}

/** @param known the session of the message before, as a rule of this one, too */
function item(given: JsonObject, key: string | undefined, pathsSession?: string, known?: string): PublishItem {
  const named = own(given, 'session_id');
  // Ignored, it would go to another session than it says.
  if (pathsSession !== undefined && (named ?? pathsSession) !== pathsSession) refuse('session_id', 'that of the path');
  const session_id = pathsSession ?? (known !== undefined && named === known ? known : sessionIdOf(named));
  const payload = payloadOf(given);
  // Without spreads: these are many.
  const message: PublishItem =
    'bytes' in payload ? { session_id, bytes: payload.bytes } : { session_id, data: payload.data };
  const hasMore = key !== undefined || Object.keys(given).length > (named === undefined ? 1 : 2);
  if (hasMore) addConditions(message, given, key);
  return message;
}

function addConditions(message: PublishItem, given: JsonObject, key: string | undefined): void {
  const ephemeral = optionalBoolean(given, 'ephemeral');
  const idempotencyKey = optionalText(given, 'idempotency_key', IDEMPOTENCY_KEY) ?? key;
  const idempotencyMs = optionalInteger(given, 'idempotency_ms', 1_000, '', MAX_IDEMPOTENCY_MS);
  const expectedOwnerEpoch = optionalInteger(given, 'expected_owner_epoch', 0);
  const expectedOffset = optionalInteger(given, 'expected_offset', 0);
  if (ephemeral !== undefined) message.ephemeral = ephemeral;
  if (idempotencyKey !== undefined) message.idempotency_key = idempotencyKey;
  if (idempotencyMs !== undefined) message.idempotency_ms = idempotencyMs;
  if (expectedOwnerEpoch !== undefined) message.expected_owner_epoch = expectedOwnerEpoch;
  if (expectedOffset !== undefined) message.expected_offset = expectedOffset;
}
