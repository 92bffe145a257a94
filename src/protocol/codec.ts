/** The one place where frames are parsed, checked and written. */
import { HoldfastError } from './errors.js';
import type {
  ClientMessage,
  DecodedMessage,
  PayloadText,
  Position,
  SendRequest,
  ServerMessage,
  Subscription,
} from './messages.js';
import { PLAIN, payloadOf, payloadText } from './payload.js';
import { plainSend } from './plain-send.js';
import { isSessionId, SESSION_ID_RULE } from './session-id.js';
import {
  IDEMPOTENCY_KEY,
  isObject,
  type JsonObject,
  optionalBoolean,
  optionalChoice,
  optionalInteger,
  optionalText,
  own,
  refuse,
  requiredText,
  type TextRule,
} from './validate.js';

/** How many sessions one `subscribe` may name. */
export const MAX_BATCH = 128;

const ID: TextRule = { pattern: /^.{0,128}$/s, rule: 'a string of at most 128 characters' };
const SESSION_ID: TextRule = { pattern: { test: isSessionId }, rule: SESSION_ID_RULE };
const RECONNECT_TOKEN: TextRule = { pattern: /^.{1,512}$/s, rule: 'a string of 1 to 512 characters' };
const ATTEMPT_ID: TextRule = {
  pattern: /^[A-Za-z0-9_-]{22,128}$/,
  rule: '22 to 128 characters out of A-Z a-z 0-9 _ -',
};
const ACCESS_TOKEN: TextRule = { pattern: /^.{1,8192}$/s, rule: 'a string of 1 to 8192 characters' };
const STREAM_EPOCH: TextRule = { pattern: /^[A-Za-z0-9_-]{1,64}$/, rule: '1 to 64 characters out of A-Z a-z 0-9 _ -' };
const TYPE = /^[a-z][a-z0-9_.]{0,63}$/;
const NOTHING = Object.freeze({});
const CLAIM_CHOICES = ['if_free', 'never'] as const;

export interface DecodeError {
  code: 'malformed_frame' | 'invalid_field' | 'unsupported_type';
  message: string;
  field?: string;
  /** The request's own, for the answer; absent when they are wrong themselves. */
  id?: string;
  session_id?: string;
}

/** `counts` says whether the frame counts as a bad one, of which a connection may send only so many in a row. */
export type Decoded = { ok: true; message: DecodedMessage } | { ok: false; error: DecodeError; counts: boolean };

type Decoder = (frame: JsonObject, id: { id?: string }) => DecodedMessage;

const DECODERS: ReadonlyMap<unknown, Decoder> = new Map<ClientMessage['type'], Decoder>([
  ['subscribe', (frame, id) => ({ type: 'subscribe', ...id, sessions: subscriptions(frame) })],
  ['unsubscribe', (frame, id) => ({ type: 'unsubscribe', ...id, session_id: sessionId(frame) })],
  ['release', (frame, id) => ({ type: 'release', ...id, session_id: sessionId(frame) })],
  ['send', send],
  ['signal', (frame, id) => ({ type: 'signal', ...id, session_id: sessionId(frame), ...payloadOf(frame) })],
  ['ping', (_frame, id) => ({ type: 'ping', ...id })],
  [
    'renew_login',
    (frame, id) => ({
      type: 'renew_login',
      ...id,
      ...present('access_token', optionalText(frame, 'access_token', ACCESS_TOKEN)),
    }),
  ],
  [
    'claim',
    (frame, id) => ({
      type: 'claim',
      ...id,
      session_id: sessionId(frame),
      ...present('attempt_id', optionalText(frame, 'attempt_id', ATTEMPT_ID)),
      ...present('force', optionalBoolean(frame, 'force')),
    }),
  ],
]);

/**
 * Checks a client's text frame. Never throws; unknown fields are ignored.
 * @param text made of valid UTF-8 @param bytes the frame's
 */
export function decodeFrame(text: string, bytes: number): Decoded {
  const message = plainSend(text, bytes);
  return message === undefined ? parsedFrame(text) : { ok: true, message };
}

function parsedFrame(text: string): Decoded {
  let frame: unknown;
  try {
    frame = JSON.parse(text);
  } catch {
    // The parser's own message quotes its input, which may hold a token.
    return malformed('The frame is not JSON');
  }
  if (!isObject(frame)) return malformed('The frame is not a JSON object');
  const type = own(frame, 'type');
  const decoder = DECODERS.get(type);
  if (decoder === undefined) {
    if (typeof type !== 'string' || !TYPE.test(type)) return malformed('The frame has no valid type');
    const error = {
      code: 'unsupported_type' as const,
      message: `This node does not know the type ${type}`,
      ...echoed(frame),
    };
    return { ok: false, error, counts: false };
  }
  try {
    return { ok: true, message: decoder(frame, present('id', optionalText(frame, 'id', ID))) };
  } catch (error) {
    if (!(error instanceof HoldfastError)) throw error;
    const { message, field } = error;
    return {
      ok: false,
      error: { code: 'invalid_field', message, ...present('field', field), ...echoed(frame) },
      counts: true,
    };
  }
}

export function encode(message: ServerMessage): string {
  return JSON.stringify(message);
}

/**
 * A `send_ack` as text, at a tenth of the time that `encode` takes: there is one for each message.
 * @returns undefined where it would not be ASCII, or an id needs escapes
 */
export function plainSendAck(ack: Extract<ServerMessage, { type: 'send_ack' }>): string | undefined {
  const { id, session_id, offset, owner_epoch } = ack;
  if (id !== undefined && !PLAIN.test(id)) return undefined;
  if (session_id !== lastAck.session_id || owner_epoch !== lastAck.owner_epoch) {
    const start = `{"type":"send_ack","session_id":"${session_id}","offset":`;
    lastAck = { session_id, owner_epoch, start, end: `,"owner_epoch":${owner_epoch}` };
  }
  const { start, end } = lastAck;
  return id === undefined ? `${start}${offset}${end}}` : `${start}${offset}${end},"id":"${id}"}`;
}

/** What the next has in common with it, since a turn's are of one owner as a rule. */
let lastAck = { session_id: '', owner_epoch: 0, start: '', end: '' };

function malformed(message: string): Decoded {
  return { ok: false, error: { code: 'malformed_frame', message }, counts: true };
}

function present<K extends string, T>(key: K, value: T | undefined): { [P in K]?: T } {
  return value === undefined ? NOTHING : ({ [key]: value } as { [P in K]?: T });
}

function echoed(frame: JsonObject): { id?: string; session_id?: string } {
  const id = own(frame, 'id');
  const session = own(frame, 'session_id');
  return {
    ...present('id', typeof id === 'string' && ID.pattern.test(id) ? id : undefined),
    ...present('session_id', isSessionId(session) ? session : undefined),
  };
}

/** Without a spread: these are many. */
function send(frame: JsonObject, { id }: { id?: string }): SendRequest {
  const session_id = sessionId(frame);
  const payload = payloadOf(frame);
  let written: PayloadText | undefined;
  const request: SendRequest = {
    type: 'send',
    session_id,
    // When it is wanted: a frame that is refused costs no more than its parsing.
    get payload() {
      written ??= payloadText(payload);
      return written;
    },
  };
  if (id !== undefined) request.id = id;
  const key = optionalText(frame, 'idempotency_key', IDEMPOTENCY_KEY);
  if (key !== undefined) request.idempotency_key = key;
  return request;
}

function sessionId(frame: JsonObject): string {
  return requiredText(frame, 'session_id', SESSION_ID);
}

function subscriptions(frame: JsonObject): Subscription[] {
  const sessions = own(frame, 'sessions');
  if (sessions === undefined) return [subscription(frame, '')];
  if (own(frame, 'session_id') !== undefined) refuse('sessions', 'absent where session_id is given');
  if (!Array.isArray(sessions) || sessions.length === 0 || sessions.length > MAX_BATCH) {
    refuse('sessions', `an array of 1 to ${MAX_BATCH} sessions`);
  }
  // Each belongs to one session: silently ignored here, a batch would claim what the sender meant only to watch.
  for (const key of ['claim', 'reconnect_token', 'attempt_id', 'since']) {
    if (own(frame, key) !== undefined) refuse(key, 'given inside the entries of sessions');
  }
  const seen = new Set<string>();
  return sessions.map((entry: unknown, index) => {
    const path = `sessions[${index}]`;
    if (typeof entry !== 'string' && !isObject(entry)) refuse(path, 'a session id or an object');
    const decoded =
      typeof entry === 'string'
        ? isSessionId(entry)
          ? { session_id: entry }
          : refuse(path, SESSION_ID_RULE)
        : subscription(entry, `${path}.`);
    if (seen.has(decoded.session_id)) refuse(path, 'a session that is not named before');
    seen.add(decoded.session_id);
    return decoded;
  });
}

function subscription(entry: JsonObject, path: string): Subscription {
  return {
    session_id: requiredText(entry, 'session_id', SESSION_ID, path),
    ...present('claim', optionalChoice(entry, 'claim', CLAIM_CHOICES, path)),
    ...present('reconnect_token', optionalText(entry, 'reconnect_token', RECONNECT_TOKEN, path)),
    ...present('attempt_id', optionalText(entry, 'attempt_id', ATTEMPT_ID, path)),
    ...present('since', since(entry, path)),
  };
}

function since(entry: JsonObject, path: string): Position | 'oldest' | undefined {
  const value = own(entry, 'since');
  if (value === undefined || value === 'oldest') return value;
  const field = `${path}since`;
  if (!isObject(value)) refuse(field, 'a position {epoch, offset} or "oldest"');
  const epoch = requiredText(value, 'epoch', STREAM_EPOCH, `${field}.`);
  return { epoch, offset: optionalInteger(value, 'offset', 0, `${field}.`) ?? refuse(`${field}.offset`, 'given') };
}
