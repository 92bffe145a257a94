/** What every message is checked for on its way to the store, and what the store's refusals mean. */
import { HoldfastError } from '../protocol/errors.js';
import type { ItemResult } from './message-ports.js';
import type { Right } from './rights.js';
import type { SessionNode } from './session-node.js';
import type { Subscriber } from './subscriber.js';

type Refusal = Exclude<ItemResult, { offset: number }>['result'];

const REFUSALS: Readonly<Record<Refusal, string>> = {
  not_owner: 'this connection does not own the session',
  stale_epoch: 'the session has changed owner',
  offset_conflict: 'the last offset is another one',
  idempotency_conflict: 'the idempotency key belongs to another message',
  history_full: 'the history has no room for the message',
};

/**
 * @returns undefined where it is known already: most messages wait for nothing but the store
 * @throws HoldfastError `not_subscribed`; its promise rejects with `forbidden`, `application_unavailable`
 */
export function requireRight(
  node: SessionNode,
  subscriber: Subscriber,
  right: Right,
  sessionId: string,
): Promise<void> | undefined {
  const { access } = node;
  if (!node.follows(subscriber, sessionId)) throw new HoldfastError('not_subscribed', 'subscribe to the session first');
  if (access.allows(subscriber, right, sessionId)) return undefined;
  return access.ensure(subscriber, sessionId, right).then(() => {
    if (!access.allows(subscriber, right, sessionId)) throw noRightTo(right);
  });
}

export function noRightTo(right: Right): HoldfastError {
  return new HoldfastError('forbidden', `no right to ${right} in this session`);
}

/** @param bytes what is stored of a message, UTF-8 @throws HoldfastError `message_too_large` */
export function requireSize(bytes: number, maxBytes: number): void {
  if (bytes <= maxBytes) return;
  throw new HoldfastError('message_too_large', `a message has at most ${maxBytes} bytes, not ${bytes}`);
}

export function refusalOf(result: Refusal): HoldfastError {
  return new HoldfastError(result, REFUSALS[result]);
}

export function countRefusal({ deps }: SessionNode, error: unknown): void {
  deps.telemetry.messageRefused(error instanceof HoldfastError ? error.code : 'internal');
}
