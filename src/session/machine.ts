/**
 * Ownership as a pure state machine: record, command and the store's time in; record, outcome and event out.
 * The memory store runs it; the Redis scripts mirror it, and one contract suite and one model test hold both to it.
 */
import type { OwnershipReason, OwnershipState } from '../protocol/messages.js';
import type {
  ClaimOutcome,
  ClaimRequest,
  ClaimResult,
  ConnectionRef,
  LeaseRef,
  OwnershipEvent,
  OwnershipTimings,
  ReclaimRequest,
  ReleaseRequest,
  RenewResult,
  TransferRequest,
  TransferResult,
} from './ports.js';

import { ANONYMOUS_PREFIX, EMPTY_RECORD, type SessionRecord, viewOf } from './record.js';

export type Command =
  | { verb: 'claim'; request: ClaimRequest }
  | { verb: 'reclaim'; request: ReclaimRequest }
  | { verb: 'renew'; lease: LeaseRef; leaseMs: number }
  | { verb: 'hold'; lease: LeaseRef; holdMs: number }
  | { verb: 'release'; request: ReleaseRequest }
  | { verb: 'transfer'; request: TransferRequest };

export type Verb = Command['verb'];

interface Outcomes {
  claim: Omit<ClaimOutcome, 'view' | 'stream'>;
  reclaim: Omit<ClaimOutcome, 'view' | 'stream'>;
  renew: RenewResult;
  hold: boolean;
  release: boolean;
  transfer: TransferResult;
}

/** What the step sees besides the record. */
export interface StepContext {
  nowMs: number;
  nowUs: number;
  /** The highest epoch ever given in the partition. */
  epochFloor: number;
  /** The value of the session's lock; empty when nobody holds it. */
  lockValue: string;
  /** When the last gap in the store's time was found, Infinity while there is one that no sweep has found yet. */
  gapAtMs: number;
  /** The oldest watcher on the list; empty when there is none. */
  firstWatcher: string;
  timings: OwnershipTimings;
}

export interface Step<Outcome> {
  record: SessionRecord;
  outcome: Outcome;
  event?: OwnershipEvent;
}

type ClaimStep = Step<Outcomes['claim']>;

type Handler<V extends Verb> = (
  record: SessionRecord,
  command: Extract<Command, { verb: V }>,
  context: StepContext,
) => Step<Outcomes[V]>;

type TransitionTable = { readonly [S in OwnershipState]: { readonly [V in Verb]: Handler<V> } };

/** True when the record's deadline has passed and may be acted on. */
export function isDue(record: SessionRecord, context: Pick<StepContext, 'nowMs' | 'gapAtMs'>): boolean {
  if (record.state === 'free' || record.deadlineMs > context.nowMs) return false;
  // After a gap it gets its whole lease, in which its node can renew it.
  return context.nowMs >= context.gapAtMs + record.leaseMs;
}

function eventOf(
  record: SessionRecord,
  sessionId: string,
  reason: OwnershipReason,
  previousConnectionId: string,
  context: StepContext,
): OwnershipEvent {
  const requestId = reason === 'expired' || reason === 'disconnected' ? '' : record.requestId;
  return { kind: 'ownership', sessionId, reason, previousConnectionId, requestId, ...viewOf(record, context.nowMs) };
}

function outcomeOf(
  result: ClaimResult,
  record: SessionRecord,
  extra: Partial<Outcomes['claim']> = {},
): Outcomes['claim'] {
  return { result, replayed: false, tokenExpired: false, tokenHash: record.tokenHash, retryAfterMs: 0, ...extra };
}

function nextEpoch(record: SessionRecord, context: StepContext): number {
  return Math.max(record.epoch + 1, context.epochFloor + 1, context.nowUs);
}

function isLockedAgainst(context: StepContext, ownValue: string): boolean {
  return context.lockValue !== '' && context.lockValue !== ownValue;
}

function matches(record: SessionRecord, lease: LeaseRef): boolean {
  return record.connectionId === lease.connectionId && record.epoch === lease.epoch;
}

function principalAllows(record: SessionRecord, request: ClaimRequest | ReclaimRequest): boolean {
  if (request.principalRule === 'exact') return record.principal === request.principal;
  return record.principal.startsWith(ANONYMOUS_PREFIX);
}

function isRepeatedAttempt(
  record: SessionRecord,
  request: ClaimRequest | ReclaimRequest,
  consumedTokenHash: string,
  context: StepContext,
): boolean {
  return (
    request.attemptHash !== '' &&
    request.attemptHash === record.attemptHash &&
    record.consumedTokenHash === consumedTokenHash &&
    context.nowMs - record.attemptAtMs <= context.timings.attemptWindowMs &&
    principalAllows(record, request)
  );
}

interface Grant {
  reason: OwnershipReason;
  principal: string;
  tokenHash: string;
  consumedTokenHash: string;
  attemptHash: string;
  attemptAtMs: number;
  outcome: Outcomes['claim'];
}

function grant(
  record: SessionRecord,
  request: { sessionId: string; requestId: string; leaseMs: number } & ConnectionRef,
  given: Grant,
  context: StepContext,
): ClaimStep {
  const next: SessionRecord = {
    state: 'owned',
    epoch: nextEpoch(record, context),
    rev: record.rev + 1,
    connectionId: request.connectionId,
    nodeId: request.nodeId,
    bootId: request.bootId,
    principal: given.principal,
    deadlineMs: context.nowMs + request.leaseMs,
    leaseMs: request.leaseMs,
    freedAtMs: 0,
    tokenHash: given.tokenHash,
    consumedTokenHash: given.consumedTokenHash,
    attemptHash: given.attemptHash,
    attemptAtMs: given.attemptAtMs,
    requestId: request.requestId,
    requestOutcome: JSON.stringify(given.outcome),
  };
  const event = eventOf(next, request.sessionId, given.reason, record.connectionId, context);
  return { record: next, outcome: given.outcome, event };
}

function freed(
  record: SessionRecord,
  sessionId: string,
  reason: OwnershipReason,
  context: StepContext,
  request?: { requestId: string; outcome: string },
): { record: SessionRecord; event: OwnershipEvent } {
  const next: SessionRecord = {
    ...EMPTY_RECORD,
    epoch: record.epoch,
    rev: record.rev + 1,
    freedAtMs: context.nowMs,
    requestId: request?.requestId ?? '',
    requestOutcome: request?.outcome ?? '',
  };
  return { record: next, event: eventOf(next, sessionId, reason, record.connectionId, context) };
}

const claimFree: Handler<'claim'> = (record, { request }, context) => {
  if (isLockedAgainst(context, request.lockValue)) return { record, outcome: outcomeOf('busy', record) };
  if (request.mode === 'reestablish' && record.epoch !== 0) return { record, outcome: outcomeOf('unclaimed', record) };
  const waitedMs = context.nowMs - record.freedAtMs;
  const promised =
    request.policy === 'oldest_watcher' &&
    context.firstWatcher !== '' &&
    context.firstWatcher !== request.connectionId &&
    waitedMs < context.timings.handoverPatienceMs;
  if (promised) {
    const retryAfterMs = context.timings.handoverPatienceMs - waitedMs;
    return { record, outcome: outcomeOf('not_next', record, { retryAfterMs }) };
  }
  const reasons = {
    subscribe: 'claimed',
    claim: 'claimed',
    handover: 'handed_over',
    reestablish: 'reestablished',
  } as const;
  const outcome = outcomeOf('owned', record, { tokenHash: request.tokenHash });
  return grant(
    record,
    request,
    {
      reason: reasons[request.mode],
      principal: request.principal,
      tokenHash: request.tokenHash,
      consumedTokenHash: '',
      attemptHash: request.attemptHash,
      attemptAtMs: request.attemptHash === '' ? 0 : context.nowMs,
      outcome,
    },
    context,
  );
};

/** The same attempt again, after its reply was lost: the session at a new epoch, with the token it already has. */
function replay(record: SessionRecord, request: ClaimRequest | ReclaimRequest, context: StepContext): ClaimStep {
  const outcome = outcomeOf('owned', record, { replayed: true });
  if (record.state === 'owned' && record.connectionId === request.connectionId) return { record, outcome };
  const principal = request.principalRule === 'replace' ? request.principal : record.principal;
  return grant(record, request, { ...record, reason: 'reclaimed', principal, outcome }, context);
}

const claimTaken: Handler<'claim'> = (record, { request }, context) => {
  // A handover that finds the session with its watcher already must leave the token alone: nothing would tell of it.
  const isOwner =
    request.mode !== 'handover' && record.state === 'owned' && record.connectionId === request.connectionId;
  const isRepeat = request.mode !== 'reestablish' && isRepeatedAttempt(record, request, '', context);
  if (!isOwner && !isRepeat) return { record, outcome: outcomeOf('unclaimed', record) };
  if (isLockedAgainst(context, request.lockValue))
    return { record: extended(record, context), outcome: outcomeOf('busy', record) };
  if (isRepeat) return replay(record, request, context);
  // The owner asks again because a reply never reached it: a fresh token at the same epoch.
  const outcome = outcomeOf('owned', record, { tokenHash: request.tokenHash });
  const next: SessionRecord = {
    ...record,
    deadlineMs: context.nowMs + request.leaseMs,
    leaseMs: request.leaseMs,
    tokenHash: request.tokenHash,
    consumedTokenHash: '',
    attemptHash: request.attemptHash,
    attemptAtMs: request.attemptHash === '' ? 0 : context.nowMs,
    requestId: request.requestId,
    requestOutcome: JSON.stringify(outcome),
  };
  return { record: next, outcome };
};

function extended(record: SessionRecord, context: StepContext): SessionRecord {
  return { ...record, deadlineMs: Math.max(record.deadlineMs, context.nowMs + context.timings.busyExtensionMs) };
}

/** A genuine token that is no longer current makes a new subscription. */
function expiredToken(
  record: SessionRecord,
  request: ReclaimRequest,
  context: StepContext,
  claim: Handler<'claim'>,
): ClaimStep {
  if (!request.claimIfExpired) return { record, outcome: outcomeOf('unclaimed', record, { tokenExpired: true }) };
  const step = claim(record, { verb: 'claim', request: { ...request, mode: 'subscribe' } }, context);
  const outcome = { ...step.outcome, tokenExpired: true };
  const changed = step.record.requestId === request.requestId;
  return {
    ...step,
    record: changed ? { ...step.record, requestOutcome: JSON.stringify(outcome) } : step.record,
    outcome,
  };
}

const reclaimFree: Handler<'reclaim'> = (record, { request }, context) =>
  expiredToken(record, request, context, claimFree);

const reclaimTaken: Handler<'reclaim'> = (record, { request }, context) => {
  const isCurrent = record.tokenHash === request.presentedTokenHash && principalAllows(record, request);
  const isRepeat = isRepeatedAttempt(record, request, request.presentedTokenHash, context);
  if (isCurrent || isRepeat) {
    if (isLockedAgainst(context, request.lockValue))
      return { record: extended(record, context), outcome: outcomeOf('busy', record) };
    if (isRepeat) return replay(record, request, context);
    const outcome = outcomeOf('owned', record, { tokenHash: request.tokenHash });
    const given: Grant = {
      reason: 'reclaimed',
      principal: request.principalRule === 'restore' ? record.principal : request.principal,
      tokenHash: request.tokenHash,
      consumedTokenHash: request.presentedTokenHash,
      attemptHash: request.attemptHash,
      attemptAtMs: request.attemptHash === '' ? 0 : context.nowMs,
      outcome,
    };
    return grant(record, request, given, context);
  }
  if (record.consumedTokenHash === request.presentedTokenHash)
    return { record, outcome: outcomeOf('token_used', record) };
  return expiredToken(record, request, context, claimTaken);
};

const renewOwned: Handler<'renew'> = (record, { lease, leaseMs }, context) =>
  matches(record, lease)
    ? { record: { ...record, deadlineMs: context.nowMs + leaseMs }, outcome: 'renewed' }
    : { record, outcome: 'lost' };

const renewOther: Handler<'renew'> = (record) => ({ record, outcome: record.epoch === 0 ? 'missing' : 'lost' });

const holdOwned: Handler<'hold'> = (record, { lease, holdMs }, context) => {
  if (!matches(record, lease)) return { record, outcome: false };
  const next: SessionRecord = { ...record, state: 'held', rev: record.rev + 1, deadlineMs: context.nowMs + holdMs };
  const event = eventOf(next, lease.sessionId, 'disconnected', record.connectionId, context);
  return { record: next, outcome: true, event };
};

const releaseTaken: Handler<'release'> = (record, { request }, context) => {
  if (!matches(record, request)) return { record, outcome: false };
  const done = { requestId: request.requestId, outcome: 'true' };
  return { ...freed(record, request.sessionId, request.reason, context, done), outcome: true };
};

const transfer: Handler<'transfer'> = (record, { request }, context) => {
  if (isLockedAgainst(context, request.lockValue)) return { record, outcome: 'busy' };
  if (record.epoch !== request.expectedEpoch) return { record, outcome: 'stale' };
  const done = { requestId: request.requestId, outcome: '"done"' };
  if (request.target === undefined) {
    if (record.state === 'free') return { record, outcome: 'done' };
    return { ...freed(record, request.sessionId, request.reason, context, done), outcome: 'done' };
  }
  const { target } = request;
  const step = grant(
    record,
    { ...target, sessionId: request.sessionId, requestId: request.requestId },
    {
      reason: request.reason,
      principal: target.principal,
      tokenHash: target.tokenHash,
      consumedTokenHash: '',
      attemptHash: target.attemptHash,
      attemptAtMs: target.attemptHash === '' ? 0 : context.nowMs,
      outcome: outcomeOf('owned', record, { tokenHash: target.tokenHash }),
    },
    context,
  );
  return { ...step, record: { ...step.record, requestOutcome: done.outcome }, outcome: 'done' };
};

const unchanged =
  <V extends Verb>(outcome: Outcomes[V]): Handler<V> =>
  (record) => ({ record, outcome });

const TRANSITIONS: TransitionTable = {
  free: {
    claim: claimFree,
    reclaim: reclaimFree,
    renew: renewOther,
    hold: unchanged(false),
    release: unchanged(false),
    transfer,
  },
  owned: {
    claim: claimTaken,
    reclaim: reclaimTaken,
    renew: renewOwned,
    hold: holdOwned,
    release: releaseTaken,
    transfer,
  },
  held: {
    claim: claimTaken,
    reclaim: reclaimTaken,
    renew: renewOther,
    hold: unchanged(false),
    release: releaseTaken,
    transfer,
  },
};

/** Frees a session whose deadline has passed. The caller has checked `isDue`. */
export function lapse(
  record: SessionRecord,
  sessionId: string,
  context: StepContext,
): { record: SessionRecord; event: OwnershipEvent } {
  return freed(record, sessionId, 'expired', context);
}

/**
 * One command on one record. A request that was answered before gets the same answer and changes nothing.
 * The caller frees a due record (`isDue`, `lapse`) first, except before `renew` and `hold`, which only ever act on
 * a record that still is exactly theirs.
 */
export function step<V extends Verb>(
  record: SessionRecord,
  command: Extract<Command, { verb: V }>,
  context: StepContext,
): Step<Outcomes[V]> {
  if ('request' in command && command.request.requestId === record.requestId) {
    return { record, outcome: JSON.parse(record.requestOutcome) as Outcomes[V] };
  }
  const handler = TRANSITIONS[record.state][command.verb] as unknown as Handler<V>;
  return handler(record, command, context);
}
