/**
 * What is published on a session's channel. The scripts write ownership events (scripts/record.lua); notices are written
 * here. The first character tells them apart.
 */
import type { OwnershipReason, OwnershipState } from '../../protocol/messages.js';
import type { OwnershipEvent, SessionEvent, SessionNotice } from '../../session/ports.js';

const OWNERSHIP = 'o\t';
const NOTICE = 'x';
const NOTICE_KINDS: ReadonlySet<string> = new Set<SessionNotice['kind']>(['transfer_offer', 'subscription_removal']);
/** Before the principal, which comes last since it may contain a tab. */
const FIXED_FIELDS = 10;

export function encodeNotice(notice: SessionNotice): string {
  return NOTICE + JSON.stringify(notice);
}

/** @returns undefined for a payload of a kind that this version does not know */
export function decodeEvent(sessionId: string, payload: string): SessionEvent | undefined {
  if (payload.startsWith(OWNERSHIP)) return decodeOwnership(sessionId, payload);
  if (!payload.startsWith(NOTICE)) return undefined;
  const notice = JSON.parse(payload.slice(NOTICE.length)) as SessionNotice;
  return NOTICE_KINDS.has(notice.kind) ? notice : undefined;
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
