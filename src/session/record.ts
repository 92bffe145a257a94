/** A session's ownership record, as the stores keep it and the state machine changes it. */
import type { OwnershipState } from '../protocol/messages.js';
import type { ConnectionRef, SessionView } from './ports.js';

/** What the principals begin with that the gateway makes up for anonymous connections. */
export const ANONYMOUS_PREFIX = 'anon:';

export interface SessionRecord extends ConnectionRef {
  state: OwnershipState;
  epoch: number;
  rev: number;
  principal: string;
  deadlineMs: number;
  /** What the last grant gave; 0 when free. */
  leaseMs: number;
  freedAtMs: number;
  tokenHash: string;
  /** The token whose presentation gave `tokenHash`; empty after a claim. */
  consumedTokenHash: string;
  attemptHash: string;
  attemptAtMs: number;
  /** The last request that changed the record, and what it was answered. */
  requestId: string;
  requestOutcome: string;
}

export const EMPTY_RECORD: SessionRecord = {
  state: 'free',
  epoch: 0,
  rev: 0,
  connectionId: '',
  nodeId: '',
  bootId: '',
  principal: '',
  deadlineMs: 0,
  leaseMs: 0,
  freedAtMs: 0,
  tokenHash: '',
  consumedTokenHash: '',
  attemptHash: '',
  attemptAtMs: 0,
  requestId: '',
  requestOutcome: '',
};

export function viewOf(record: Omit<SessionView, 'nowMs'>, nowMs: number): SessionView {
  const { state, epoch, rev, connectionId, nodeId, principal, deadlineMs } = record;
  return { state, epoch, rev, connectionId, nodeId, principal, deadlineMs, nowMs };
}
