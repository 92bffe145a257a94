/** What the application is told of a change of state, as both stores write it. */
import { type EventType, OUTBOX_ROOM, type OutboxEvent } from '../backend/ports.js';
import { HoldfastError } from '../protocol/errors.js';
import { namespaceOf } from '../protocol/session-id.js';
import type { OwnershipEvent } from '../session/ports.js';

/** Of a partition; a full one loses its oldest. As in scripts/outbox.lua. */
export const MAX_EVENTS = OUTBOX_ROOM;
/** Events that belong to no change of state must leave the rest to those that do. */
export const MAX_OTHER_EVENTS = MAX_EVENTS / 2;

export function outboxBusy(): HoldfastError {
  return new HoldfastError('rate_limited', 'too many events wait for the application', { retryAfterMs: 5_000 });
}

export type NewEvent = Pick<OutboxEvent, 'type' | 'subject' | 'fields'>;

function typeOf({ state, reason }: OwnershipEvent): EventType {
  if (state === 'free') return 'session.released';
  if (state === 'held') return 'session.held';
  return reason === 'reclaimed' ? 'session.reclaimed' : 'session.owned';
}

/** `connection_id` is whose the session is, or was before it became free. */
export function ownershipTold(event: OwnershipEvent): NewEvent {
  const { sessionId, epoch, rev, reason, principal, nodeId, deadlineMs } = event;
  const isFree = event.state === 'free';
  return {
    type: typeOf(event),
    subject: sessionId,
    fields: {
      ...sessionFields(sessionId),
      owner_epoch: epoch,
      rev,
      reason,
      connection_id: isFree ? event.previousConnectionId : event.connectionId,
      ...(!isFree && { principal, node: nodeId, until: deadlineMs }),
    },
  };
}

/** The session has been free for long, and nothing was published in it. */
export function idleTold(sessionId: string): NewEvent {
  return { type: 'session.idle', subject: sessionId, fields: sessionFields(sessionId) };
}

/** A login has ended before its time. */
export function revocationTold(handle: string, principal: string, reason: string): NewEvent {
  return { type: 'login.revoked', subject: handle, fields: { login: handle, principal, reason } };
}

function sessionFields(sessionId: string): Record<string, unknown> {
  return { session_id: sessionId, namespace: namespaceOf(sessionId) };
}
