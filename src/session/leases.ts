import type { Clock } from '../lib/clock.js';
import type { Log } from '../lib/log.js';
import type { LeaseRef, OwnershipStore, RenewResult } from './ports.js';
import type { Subscriber } from './subscriber.js';

/** A lease of a connection of this node. */
export interface Lease extends LeaseRef {
  readonly subscriber: Subscriber;
  readonly principal: string;
  readonly tokenHash: string;
  readonly leaseMs: number;
  /** Until when this node may act on it, on the monotonic clock. */
  validUntilMs: number;
  /** Of the stamp behind `validUntilMs`. */
  generation: number;
  /** False from the moment that the owner was told of `lease_unconfirmed` until a renewal succeeds. */
  confirmed: boolean;
}

/** When a request to the store began; what comes back is valid from then, and only if the machine did not sleep. */
export interface Stamp {
  atMs: number;
  generation: number;
}

export interface LeaseListener {
  /** This node can no longer be sure of the lease. */
  onUnconfirmed(lease: Lease): void;
  /** The same lease, at the same epoch, is sure again. */
  onConfirmed(lease: Lease): void;
  onLost(lease: Lease): void;
  /** The store has no record at all. */
  onMissing(lease: Lease): void;
}

/** Leases are renewed in this many groups, so that a node with many never renews all in one turn. */
const GROUPS = 8;
const RENEWALS_PER_LEASE = 4;
const RETRY_MS = 500;
/** A larger difference between what the two clocks say has passed is a sleep or a step of the wall clock. */
const CLOCK_JUMP_MS = 1_000;

/** What a node takes off the lease on its own clock, for the time that messages and timers take. */
export function leaseMarginMs(leaseMs: number): number {
  return Math.min(2_000, Math.ceil(leaseMs / 10));
}

/**
 * The leases that this node holds: renews them, and fences itself (O8): a lease counts only until the time at which
 * its last successful renewal was sent, plus the lease, less a margin, on the monotonic clock.
 */
export class NodeLeases {
  readonly #bySession = new Map<string, Lease>();
  readonly #groups: Set<Lease>[] = Array.from({ length: GROUPS }, () => new Set());
  readonly #renewing = new Set<Set<Lease>>();
  readonly #retries = new Map<Set<Lease>, NodeJS.Timeout>();
  readonly #store: OwnershipStore;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #listener: LeaseListener;
  readonly #timers: NodeJS.Timeout[] = [];
  #nextGroup = 0;
  #turn = 0;
  #generation = 0;
  #drift: number;

  /** @param shortestLeaseMs the shortest lease of any namespace, which sets the pace of renewal */
  constructor(options: {
    store: OwnershipStore;
    clock: Clock;
    log: Log;
    listener: LeaseListener;
    shortestLeaseMs: number;
  }) {
    this.#store = options.store;
    this.#clock = options.clock;
    this.#log = options.log;
    this.#listener = options.listener;
    this.#drift = this.#clock.wallMs() - this.#clock.monotonicMs();
    const renewEveryMs = options.shortestLeaseMs / RENEWALS_PER_LEASE / GROUPS;
    const checkEveryMs = Math.min(500, Math.max(20, options.shortestLeaseMs / 40));
    this.#timers.push(setInterval(() => this.#renewNextGroup(), renewEveryMs));
    this.#timers.push(setInterval(() => this.checkValidity(), checkEveryMs));
    for (const timer of this.#timers) timer.unref();
  }

  get size(): number {
    return this.#bySession.size;
  }

  get(sessionId: string): Lease | undefined {
    return this.#bySession.get(sessionId);
  }

  /** The lease, if that connection holds it. */
  of(sessionId: string, subscriber: Subscriber): Lease | undefined {
    const lease = this.#bySession.get(sessionId);
    return lease?.subscriber === subscriber ? lease : undefined;
  }

  /** To be taken before the store is asked. */
  stamp(): Stamp {
    return { atMs: this.#noticeClockJump(), generation: this.#generation };
  }

  /** Registers what the store granted, replacing any earlier lease of the session. */
  add(granted: Omit<Lease, 'validUntilMs' | 'generation' | 'confirmed'>, stamp: Stamp): Lease {
    this.#forget(granted.sessionId);
    const lease: Lease = { ...granted, validUntilMs: Number.NEGATIVE_INFINITY, generation: 0, confirmed: true };
    this.#confirm(lease, stamp);
    this.#bySession.set(lease.sessionId, lease);
    this.#groups[this.#nextGroup]?.add(lease);
    this.#nextGroup = (this.#nextGroup + 1) % GROUPS;
    return lease;
  }

  /** Takes back a lease whose release did not reach the store, unless the session has another by now. */
  restore(lease: Lease): void {
    if (this.#bySession.has(lease.sessionId)) return;
    if (lease.generation !== this.#generation) lease.validUntilMs = Number.NEGATIVE_INFINITY;
    this.#bySession.set(lease.sessionId, lease);
    this.#groups[this.#nextGroup]?.add(lease);
  }

  /** Forgets the lease if it is still the session's. */
  remove(lease: Lease): void {
    if (this.#bySession.get(lease.sessionId) === lease) this.#forget(lease.sessionId);
  }

  /** Whether the owner may act now. Synchronous, so that nothing can come between the check and the act. */
  isValid(lease: Lease): boolean {
    const nowMs = this.#noticeClockJump();
    return this.#bySession.get(lease.sessionId) === lease && nowMs < lease.validUntilMs;
  }

  /** Tells the owners of leases that this node can no longer be sure of. */
  checkValidity(): void {
    const nowMs = this.#noticeClockJump();
    for (const lease of this.#bySession.values()) {
      if (!lease.confirmed || nowMs < lease.validUntilMs) continue;
      lease.confirmed = false;
      this.#listener.onUnconfirmed(lease);
    }
  }

  /** Renews all, now: after a gap, and for tests. */
  async renewAll(): Promise<void> {
    await Promise.all(this.#groups.map((group) => this.#renew(group)));
  }

  close(): void {
    for (const timer of [...this.#timers, ...this.#retries.values()]) clearTimeout(timer);
    this.#retries.clear();
  }

  #renewNextGroup(): void {
    const group = this.#groups[this.#turn];
    this.#turn = (this.#turn + 1) % GROUPS;
    if (group !== undefined) void this.#renew(group);
  }

  async #renew(group: Set<Lease>): Promise<void> {
    if (group.size === 0 || this.#renewing.has(group)) return;
    this.#renewing.add(group);
    try {
      const durations = new Set(Array.from(group, ({ leaseMs }) => leaseMs));
      for (const leaseMs of durations) {
        const leases = Array.from(group).filter((lease) => lease.leaseMs === leaseMs);
        const stamp = this.stamp();
        const results = await this.#store.renew(leases, leaseMs);
        for (const [index, lease] of leases.entries()) this.#settle(lease, results[index] ?? 'lost', stamp);
        if (results.includes('unavailable')) this.#retryLater(group);
      }
    } catch (error) {
      this.#log.warn({ leases: group.size, error }, 'leases not renewed');
      this.#retryLater(group);
    } finally {
      this.#renewing.delete(group);
    }
  }

  #settle(lease: Lease, result: RenewResult, stamp: Stamp): void {
    if (this.#bySession.get(lease.sessionId) !== lease) return;
    if (result === 'renewed') {
      this.#confirm(lease, stamp);
      if (lease.confirmed || !this.isValid(lease)) return;
      lease.confirmed = true;
      this.#listener.onConfirmed(lease);
    } else if (result === 'missing') {
      this.#listener.onMissing(lease);
    } else if (result === 'lost') {
      this.#listener.onLost(lease);
    }
  }

  #confirm(lease: Lease, stamp: Stamp): void {
    if (stamp.generation !== this.#generation) return;
    lease.generation = stamp.generation;
    lease.validUntilMs = stamp.atMs + lease.leaseMs - leaseMarginMs(lease.leaseMs);
  }

  #retryLater(group: Set<Lease>): void {
    if (this.#retries.has(group)) return;
    const retry = setTimeout(() => {
      this.#retries.delete(group);
      void this.#renew(group);
    }, RETRY_MS);
    this.#retries.set(group, retry.unref());
  }

  #forget(sessionId: string): void {
    const lease = this.#bySession.get(sessionId);
    if (lease === undefined) return;
    this.#bySession.delete(sessionId);
    for (const group of this.#groups) if (group.delete(lease)) break;
  }

  /** A suspended machine's monotonic clock stood still: whatever it says of a lease is wrong. @returns what it says */
  #noticeClockJump(): number {
    const nowMs = this.#clock.monotonicMs();
    const drift = this.#clock.wallMs() - nowMs;
    const jumpMs = Math.round(drift - this.#drift);
    if (Math.abs(jumpMs) <= CLOCK_JUMP_MS) return nowMs;
    this.#drift = drift;
    this.#generation++;
    for (const lease of this.#bySession.values()) lease.validUntilMs = Number.NEGATIVE_INFINITY;
    this.#log.warn({ jump_ms: jumpMs, leases: this.#bySession.size }, 'clock jumped; leases wait for renewal');
    void this.renewAll();
    return nowMs;
  }
}
