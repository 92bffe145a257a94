/**
 * What is published on a session's channel. Notices are written here, all else by the scripts. The first character tells
 * them apart.
 */
import type { OwnershipReason, OwnershipState } from '../../protocol/messages.js';
import type { MessageBatch, PublishedMessage } from '../../session/message-ports.js';
import type { OwnershipEvent, SessionEvent, SessionNotice } from '../../session/ports.js';
import type { PresenceEvent } from '../../session/presence-ports.js';

const NOTICE = 'x';
const NOTICE_KINDS: ReadonlySet<string> = new Set<SessionNotice['kind']>([
  'transfer_offer',
  'subscription_removal',
  'signal',
]);
const TAB = 0x09;
const EPHEMERAL = 0x65;
/** Before the principal, which comes last since it may contain a tab. */
const OWNERSHIP_FIELDS = 10;
const PRESENCE_FIELDS = 3;

export function encodeNotice(notice: SessionNotice): string {
  return NOTICE + JSON.stringify(notice);
}

/**
 * @returns undefined for a payload of a kind that this version does not know
 * @throws SyntaxError on one that is cut off
 */
export function decodeEvent(sessionId: string, payload: Buffer): SessionEvent | undefined {
  switch (payload.toString('latin1', 0, 1)) {
    case 'm':
      return decodeMessages(sessionId, payload);
    case 'o':
      return decodeOwnership(sessionId, payload.toString());
    case 'p':
      return decodePresence(sessionId, payload.toString());
    case NOTICE:
      return decodeNotice(payload.toString('utf8', 1));
    default:
      return undefined;
  }
}

function decodeNotice(json: string): SessionNotice | undefined {
  const notice = JSON.parse(json) as SessionNotice;
  return NOTICE_KINDS.has(notice.kind) ? notice : undefined;
}

/** As scripts/append.lua writes it. The tails are parts of `payload`, which stays in memory as long as one of them. */
function decodeMessages(sessionId: string, payload: Buffer): MessageBatch {
  let at = 2;
  /** The field from `at` on; moves behind its tab. */
  const field = (): string => {
    const end = payload.indexOf(TAB, at);
    if (end === -1) throw new SyntaxError('a message batch is cut off');
    const start = at;
    at = end + 1;
    return payload.toString('latin1', start, end);
  };
  const epoch = field();
  const atMs = Number(field());
  const messages: PublishedMessage[] = [];
  while (at < payload.length) {
    const ephemeral = payload[at] === EPHEMERAL;
    at += 1;
    const offset = Number(field());
    const bytes = Number(field());
    const end = at + bytes;
    if (!(end <= payload.length)) throw new SyntaxError('a message batch is cut off');
    messages.push({ offset, ephemeral, tail: payload.subarray(at, end), bytes });
    at = end;
  }
  return { kind: 'messages', sessionId, epoch, atMs, messages };
}

/** As scripts/presence-*.lua write it. */
function decodePresence(sessionId: string, payload: string): PresenceEvent {
  const { fields, rest: principal } = split(payload, PRESENCE_FIELDS);
  const [event, rev, count] = fields as [PresenceEvent['event'], string, string];
  return { kind: 'presence', sessionId, event, principal, rev: Number(rev), count: Number(count) };
}

/** As scripts/free.lua, grant.lua and hold.lua write it, to the channel and to the outbox. */
export function decodeOwnership(sessionId: string, payload: string): OwnershipEvent {
  const { fields, rest: principal } = split(payload, OWNERSHIP_FIELDS);
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
    principal,
    deadlineMs: Number(deadlineMs),
    nowMs: Number(nowMs),
  };
}

/** Takes so many fields, each with a tab behind, from behind the kind and its tab on. */
function split(payload: string, count: number): { fields: string[]; rest: string } {
  const fields: string[] = [];
  let start = 2;
  while (fields.length < count) {
    const end = payload.indexOf('\t', start);
    if (end === -1) throw new SyntaxError('an event has too few fields');
    fields.push(payload.slice(start, end));
    start = end + 1;
  }
  return { fields, rest: payload.slice(start) };
}
