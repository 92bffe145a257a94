/**
 * What the ownership domain needs from a store. Every verb of `OwnershipStore` is one atomic step: it reads the
 * store's clock once, applies `machine.ts` (or the script that mirrors it), writes, and publishes the events, or does
 * none of that. The store's clock and no other decides what has lapsed.
 */
import type { OwnershipReason, OwnershipState, Payload } from '../protocol/messages.js';
import type { MessageBatch, StreamState } from './message-ports.js';
import type { PresenceEvent } from './presence-ports.js';

/** Who gets a session that became free. */
export type HandoverPolicy = 'next_subscriber' | 'oldest_watcher' | 'explicit_claim';

/** A connection and the node that serves it. `bootId` tells two runs of one node id apart. */
export interface ConnectionRef {
  connectionId: string;
  nodeId: string;
  bootId: string;
}

/** What a caller may know of a session's record. */
export interface SessionView {
  state: OwnershipState;
  /** 0 while the session was never owned. */
  epoch: number;
  rev: number;
  /** Owned or held: whose it is. Empty when free. */
  connectionId: string;
  nodeId: string;
  principal: string;
  /** Owned: the lease's end. Held: the end of the grace period. 0 when free. ms by the store's clock. */
  deadlineMs: number;
  /** The store's clock when the view was taken, ms since 1970. */
  nowMs: number;
}

/** A session as a subscriber finds it: the record, and where its messages stand. */
export interface JoinedView extends SessionView {
  stream: StreamState;
}

/**
 * How the caller's principal is compared with the record's when a token or an attempt matches.
 * `exact`: must be equal. `restore`: an anonymous connection takes the record's anonymous principal.
 * `replace`: an anonymous connection that already has a restored principal gives its own to the record.
 */
export type PrincipalRule = 'exact' | 'restore' | 'replace';

interface OwnershipRequest extends ConnectionRef {
  sessionId: string;
  /** Unique to this request; the same id sent again is answered with the first one's outcome and changes nothing. */
  requestId: string;
  principal: string;
  principalRule: PrincipalRule;
  /** SHA-256 of the token that the caller gets if it becomes the owner. */
  tokenHash: string;
  /** Hash of the caller's `attempt_id`; empty when it gave none. */
  attemptHash: string;
  policy: HandoverPolicy;
  leaseMs: number;
  /** The value of the session's lock, where the caller holds it; else empty. */
  lockValue: string;
}

export interface ClaimRequest extends OwnershipRequest {
  /**
   * `subscribe`: a new subscriber of a session that may be free. `claim`: asked for in so many words.
   * `handover`: a watcher answering a release under `oldest_watcher`. `reestablish`: the owner of a record that the
   * store lost; claims only while there is no record at all.
   */
  mode: 'subscribe' | 'claim' | 'handover' | 'reestablish';
}

export interface ReclaimRequest extends OwnershipRequest {
  presentedTokenHash: string;
  /** Whether to go on as `claim` with mode `subscribe` when the token is genuine but no longer current. */
  claimIfExpired: boolean;
}

/**
 * `owned`: the caller owns the session now. `unclaimed`: it does not, see the view. `busy`: another holds the
 * session's lock; try again. `not_next`: free, but promised to an older watcher until `retryAfterMs` has passed.
 * `token_used`: the token was consumed by another attempt.
 */
export type ClaimResult = 'owned' | 'unclaimed' | 'busy' | 'not_next' | 'token_used';

export interface ClaimOutcome {
  result: ClaimResult;
  /** The answer to an attempt that had succeeded before. */
  replayed: boolean;
  /** A genuine token was presented and is no longer current. */
  tokenExpired: boolean;
  /** The record's token hash; meaningful when `owned`. Differs from the request's only after a replay. */
  tokenHash: string;
  /** For `not_next`. */
  retryAfterMs: number;
  view: SessionView;
  stream: StreamState;
}

/** One owner's lease, as its node knows it. */
export interface LeaseRef {
  sessionId: string;
  connectionId: string;
  epoch: number;
}

/**
 * `renewed`; `lost`: another epoch or connection has the session, or nobody; `missing`: the store has no record;
 * `unavailable`: the part of the store that has this session is away, while others are not.
 */
export type RenewResult = 'renewed' | 'lost' | 'missing' | 'unavailable';

export interface ReleaseRequest extends LeaseRef {
  requestId: string;
  reason: Extract<OwnershipReason, 'released' | 'unsubscribed' | 'removed' | 'revoked'>;
  policy: HandoverPolicy;
  /** Under `oldest_watcher`: the releasing connection goes on watching. */
  staysWatching: boolean;
}

export interface TransferRequest {
  sessionId: string;
  requestId: string;
  /** The value of the session's lock that the caller holds. */
  lockValue: string;
  /** Commits only at this epoch: the lock orders the work, the epoch makes it safe. */
  expectedEpoch: number;
  reason: Extract<OwnershipReason, 'forced' | 'transferred' | 'removed'>;
  /** The new owner, or undefined to free the session. */
  target: (ConnectionRef & { principal: string; tokenHash: string; attemptHash: string; leaseMs: number }) | undefined;
}

/** `done`; `stale`: the epoch moved on (see the view); `busy`: somebody else's lock. */
export type TransferResult = 'done' | 'stale' | 'busy';

export interface SweepOutcome {
  /** Sessions released by this call. */
  released: string[];
  /** True when more are due than one call releases. */
  more: boolean;
  /** True when a gap in the store's time kept this call from releasing what is due. */
  guarded: boolean;
}

/** Settings of the store that every node of a deployment must share. All in ms. */
export interface OwnershipTimings {
  /** A longer silence between two sweeps of a partition is a gap: after it, nothing lapses before a lease of its own. */
  maxSweepGapMs: number;
  /** How long a repeated `attempt_id` is answered with the first one's result. */
  attemptWindowMs: number;
  /** How long a record outlives its deadline, so that the epoch goes on. */
  retentionMs: number;
  /** How long a freed session waits for its oldest watcher. */
  handoverPatienceMs: number;
  /** What a busy answer to a valid token leaves at least until the deadline. */
  busyExtensionMs: number;
}

export interface OwnershipStore {
  /** How many partitions `sweep` is called with: 0 … partitions − 1. */
  readonly partitions: number;

  /**
   * The session's view; a passed deadline is released first. `watcher` is put on the list for `oldest_watcher`.
   * @throws HoldfastError `store_unavailable` (every verb does)
   */
  read(sessionId: string, watcher?: ConnectionRef): Promise<JoinedView>;

  /**
   * Views without any write, in the order asked. A missing record is a free view with epoch 0; undefined stands for
   * one whose part of the store is away.
   */
  peek(sessionIds: readonly string[]): Promise<(SessionView | undefined)[]>;

  claim(request: ClaimRequest): Promise<ClaimOutcome>;
  reclaim(request: ReclaimRequest): Promise<ClaimOutcome>;

  /**
   * Pushes the deadlines of leases that still stand to now + `leaseMs`; atomic for each lease, not for the batch.
   * @throws HoldfastError `store_unavailable` when nothing of the store is to be had
   */
  renew(leases: readonly LeaseRef[], leaseMs: number): Promise<RenewResult[]>;

  /** Owned by exactly that connection at that epoch → held until now + `holdMs`. Anything else: nothing happens. */
  hold(leases: readonly LeaseRef[], holdMs: number): Promise<boolean[]>;

  /** Owned or held by exactly that connection at that epoch → free. @returns whether it was. */
  release(request: ReleaseRequest): Promise<boolean>;

  transfer(request: TransferRequest): Promise<{ result: TransferResult; view: SessionView }>;

  /** Takes a connection off the list for `oldest_watcher`. */
  unwatch(sessionId: string, connectionId: string): Promise<void>;

  /** Releases what is due in one partition, at most `limit` sessions; each release is published exactly once. */
  sweep(partition: number, limit: number): Promise<SweepOutcome>;
}

/** One change of ownership, as published by the step that made it. Ordered by (epoch, rev). */
export interface OwnershipEvent extends SessionView {
  kind: 'ownership';
  sessionId: string;
  reason: OwnershipReason;
  /** Who owned or was held before; empty if nobody. */
  previousConnectionId: string;
  /** The request that caused it; empty for sweeps. */
  requestId: string;
}

/**
 * "Whoever serves this connection (or any connection of this principal) take the session now." Sent by the node
 * that holds the session's lock; the taker commits with `lockValue` and `expectedEpoch`.
 */
export interface TransferOffer {
  kind: 'transfer_offer';
  sessionId: string;
  requestId: string;
  lockValue: string;
  expectedEpoch: number;
  target: { connection_id?: string; principal?: string };
}

/** "Whoever serves these subscribers of the session, unsubscribe them." Without a target: all of them. */
export interface SubscriptionRemoval {
  kind: 'subscription_removal';
  sessionId: string;
  target: { connection_id?: string; principal?: string };
}

/** From a watcher, for whoever serves the owner. */
export interface SignalNotice {
  kind: 'signal';
  sessionId: string;
  /** The sender. */
  connectionId: string;
  principal: string;
  payload: Payload;
}

/** What nodes tell each other of a session, besides what the store's steps publish. */
export type SessionNotice = TransferOffer | SubscriptionRemoval | SignalNotice;

export type SessionEvent = OwnershipEvent | MessageBatch | PresenceEvent | SessionNotice;

/** Fan-out between nodes. At most once, in order per session; a loss is reported as a gap or noticed by a probe. */
export interface SessionBus {
  /** Resolves once everything published from now on is delivered. */
  subscribe(sessionId: string): Promise<void>;
  unsubscribe(sessionId: string): Promise<void>;
  publish(notice: SessionNotice): Promise<void>;
  /** The one receiver of everything that arrives. Must not throw. */
  onEvent(listener: (event: SessionEvent) => void): void;
  /** Called when events may have been missed and delivery works again. */
  onGap(listener: () => void): void;
  /** True while published events are known to arrive. */
  healthy(): boolean;
  close(): Promise<void>;
}

/** The per-session lock. It orders multi-step work; no guarantee rests on it. */
export interface SessionLock {
  /**
   * Runs `work` under the session's lock, which is extended while it runs. `value` is what the store's verbs compare.
   * @throws HoldfastError `session_busy` when the lock was not to be had within `waitMs`
   */
  withLock<T>(sessionId: string, waitMs: number, work: (value: string) => Promise<T>): Promise<T>;
}
