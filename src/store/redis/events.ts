/**
 * What is published on a session's channel. The scripts write ownership events (scripts/record.lua); offers are written
 * here. The first character tells them apart.
 */
import type { OwnershipReason, OwnershipState } from '../../protocol/messages.js';
import type { OwnershipEvent, SessionEvent, TransferOffer } from '../../session/ports.js';

const OWNERSHIP = 'o\t';
const OFFER = 'x';
/** Before the principal, which comes last since it may contain a tab. */
const FIXED_FIELDS = 10;

export function encodeOffer(offer: TransferOffer): string {
  return OFFER + JSON.stringify(offer);
}

/** @returns undefined for a payload of a kind that this version does not know */
export function decodeEvent(sessionId: string, payload: string): SessionEvent | undefined {
  if (payload.startsWith(OWNERSHIP)) return decodeOwnership(sessionId, payload);
  if (payload.startsWith(OFFER)) return JSON.parse(payload.slice(OFFER.length)) as TransferOffer;
  return undefined;
}

function decodeOwnership(sessionId: string, payload: string): OwnershipEvent {
  const fields: string[] = [];
  let start = OWNERSHIP.length;
  while (fields.length < FIXED_FIELDS) {
    const end = payload.indexOf('\t', start);
    if (end === -1) throw new SyntaxError('an ownership event has too few fields');
    fields.push(payload.slice(start, end));
    start = end + 1;
  }
  const [epoch, rev, state, reason, connectionId, nodeId, previousConnectionId, deadlineMs, nowMs, requestId] =
    fields as [string, string, OwnershipState, OwnershipReason, string, string, string, string, string, string];
  return {
    kind: 'ownership',
    sessionId,
    reason,
    previousConnectionId,
    requestId,
    state,
    epoch: Number(epoch),
    rev: Number(rev),
    connectionId,
    nodeId,
    principal: payload.slice(start),
    deadlineMs: Number(deadlineMs),
    nowMs: Number(nowMs),
  };
}
