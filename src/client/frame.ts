/**
 * Reads the gateway's frames. What is not of the protocol goes no further: nothing behind this looks at types again.
 * Checked is what the client itself uses; the rest it hands on as it came.
 */
import type { ServerMessage } from '../protocol/messages.js';

type Check = (value: unknown, message: { bytes?: unknown }) => boolean;
type Fields = Readonly<Record<string, Check>>;

const text: Check = (value) => typeof value === 'string';
const flag: Check = (value) => typeof value === 'boolean';
/** JSON has infinities: 1e999. */
const number: Check = Number.isFinite;
const count: Check = (value) => Number.isSafeInteger(value) && (value as number) >= 0;
const object = (fields: Fields): Check => {
  const entries = Object.entries(fields);
  return (value) =>
    typeof value === 'object' &&
    value !== null &&
    entries.every(([name, check]) => check((value as Record<string, unknown>)[name], value));
};
const maybe =
  (check: Check): Check =>
  (value, message) =>
    value === undefined || check(value, message);
const list =
  (check: Check): Check =>
  (value) =>
    Array.isArray(value) && value.every((one) => check(one, {}));
/** What `atob` takes, where there are bytes. */
const payload: Check = (data, { bytes }) =>
  bytes === undefined
    ? data !== undefined
    : typeof bytes === 'string' && bytes.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(bytes);
const state: Check = (value) => value === 'free' || value === 'owned' || value === 'held';
const position = object({ epoch: text, offset: count });

const ofSession = { session_id: text };
const answer = { id: maybe(text), ...ofSession };
const ownership = { ...ofSession, state, owner_epoch: count, rev: count, until: maybe(number) };
const named = { principal: maybe(text) };
const claimed = {
  ...answer,
  ...ownership,
  ...named,
  owner: flag,
  grace_ms: number,
  reconnect_token: maybe(text),
};

type Shapes = {
  readonly [T in ServerMessage['type']]: {
    readonly [F in Exclude<keyof Extract<ServerMessage, { type: T }>, 'type'>]?: Check;
  };
};

const SHAPES: Shapes = {
  welcome: {
    principal: text,
    ping_interval_ms: number,
    features: list(text),
    limits: object({ max_subscriptions: number }),
  },
  subscribe_ack: { ...claimed, position, recovered: maybe(flag) },
  claim_ack: claimed,
  unsubscribe_ack: answer,
  release_ack: answer,
  pong: {},
  ownership: { ...ownership, ...named, reason: text, owner: maybe(flag), reconnect_token: maybe(text) },
  ownership_lost: { ...ofSession, reason: text, owner_epoch: count },
  send_ack: { ...answer, offset: count },
  signal_ack: { ...answer, owner: flag },
  message: {
    ...ofSession,
    ...named,
    offset: count,
    at: number,
    ephemeral: maybe(flag),
    owner_epoch: maybe(count),
    data: payload,
  } as Shapes['message'],
  signal: { ...ofSession, ...named, connection_id: text, data: payload } as Shapes['signal'],
  presence: {
    ...ofSession,
    event: text,
    rev: count,
    count,
    members: maybe(list(object({ principal: text }))),
  },
  lagged: { ...ofSession, position },
  reset: { ...ofSession, position, recovered: flag },
  unsubscribed: { ...ofSession, reason: text },
  login_renewed: { access_token: maybe(text), expires_at: number },
  login_expiring: {},
  reconnect: { after_ms: number, jitter_ms: number },
  error: {
    code: text,
    message: text,
    retryable: flag,
    retry_after_ms: maybe(number),
    field: maybe(text),
    id: maybe(text),
    session_id: maybe(text),
  },
};
const CHECKS: ReadonlyMap<unknown, Check> = new Map(
  Object.entries(SHAPES).map(([type, fields]) => [type, object(fields)]),
);

/**
 * The message in a frame. One of a type that this client is too young for is its caller's to ignore.
 * @returns undefined for what is not of the protocol
 */
export function readFrame(data: unknown): ServerMessage | undefined {
  try {
    const message = JSON.parse(data as string) as { type?: unknown } | null;
    const check = CHECKS.get(message?.type) ?? object({ type: text });
    return typeof data === 'string' && check(message, {}) ? (message as ServerMessage) : undefined;
  } catch {
    return undefined;
  }
}
