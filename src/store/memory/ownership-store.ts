import type { Clock } from '../../lib/clock.js';
import { type Command, isDue, lapse, type Step, type StepContext, step, type Verb } from '../../session/machine.js';
import type { StreamState } from '../../session/message-ports.js';
import type {
  ClaimOutcome,
  ClaimRequest,
  ConnectionRef,
  JoinedView,
  LeaseRef,
  OwnershipEvent,
  OwnershipStore,
  OwnershipTimings,
  ReclaimRequest,
  ReleaseRequest,
  RenewResult,
  SessionView,
  SweepOutcome,
  TransferRequest,
  TransferResult,
} from '../../session/ports.js';
import { type SessionRecord, viewOf } from '../../session/record.js';
import { Records } from './records.js';
import { storeTime } from './store-time.js';
import { SweepGuard } from './sweep-guard.js';
import { Watchers } from './watchers.js';

export interface MemoryOwnershipStoreOptions {
  clock: Clock;
  timings: OwnershipTimings;
  bus: { publish(event: OwnershipEvent): Promise<void> };
  lock: { holder(sessionId: string): string };
  /** Where the sessions' messages stand. */
  streams: { state(sessionId: string): StreamState };
  /** Gets every event that is published. */
  outbox?: { add(event: OwnershipEvent): void };
}

type StepOutcome<V extends Verb> = ReturnType<typeof step<V>>['outcome'];

/** Ownership within one process. Each verb runs the state machine synchronously, which makes it atomic. */
export class MemoryOwnershipStore implements OwnershipStore {
  readonly partitions = 1;
  readonly #options: MemoryOwnershipStoreOptions;
  readonly #now: ReturnType<typeof storeTime>;
  readonly #guard: SweepGuard;
  readonly #records = new Records();
  readonly #watchers = new Watchers();

  constructor(options: MemoryOwnershipStoreOptions) {
    this.#options = options;
    this.#now = storeTime(options.clock);
    this.#guard = new SweepGuard(options.timings);
  }

  async read(sessionId: string, watcher?: ConnectionRef): Promise<JoinedView> {
    const context = this.#context(sessionId);
    if (watcher !== undefined) this.#watchers.add(sessionId, watcher.connectionId);
    const view = viewOf(this.#lapsed(sessionId, context), context.nowMs);
    return { ...view, stream: this.#options.streams.state(sessionId) };
  }

  /** Who has the session, whatever its deadline. */
  owner(sessionId: string): Pick<SessionRecord, 'state' | 'connectionId' | 'epoch'> {
    return this.#records.get(sessionId);
  }

  async peek(sessionIds: readonly string[]): Promise<SessionView[]> {
    const nowMs = this.#now().ms;
    return sessionIds.map((sessionId) => viewOf(this.#records.get(sessionId), nowMs));
  }

  async claim(request: ClaimRequest): Promise<ClaimOutcome> {
    return this.#claim(request, { verb: 'claim', request });
  }

  async reclaim(request: ReclaimRequest): Promise<ClaimOutcome> {
    return this.#claim(request, { verb: 'reclaim', request });
  }

  async renew(leases: readonly LeaseRef[], leaseMs: number): Promise<RenewResult[]> {
    return leases.map((lease) => this.#onLease(lease, { verb: 'renew', lease, leaseMs }));
  }

  async hold(leases: readonly LeaseRef[], holdMs: number): Promise<boolean[]> {
    return leases.map((lease) => this.#onLease(lease, { verb: 'hold', lease, holdMs }));
  }

  async release(request: ReleaseRequest): Promise<boolean> {
    const { sessionId, connectionId } = request;
    const context = this.#context(sessionId);
    const before = this.#lapsed(sessionId, context);
    const { outcome, event } = this.#step(sessionId, before, { verb: 'release', request }, context);
    const waits = event !== undefined && request.staysWatching && request.policy === 'oldest_watcher';
    if (waits) this.#watchers.add(sessionId, connectionId);
    return outcome;
  }

  async transfer(request: TransferRequest): Promise<{ result: TransferResult; view: SessionView }> {
    const { sessionId } = request;
    const context = this.#context(sessionId);
    const before = this.#lapsed(sessionId, context);
    const { outcome, record } = this.#step(sessionId, before, { verb: 'transfer', request }, context);
    if (outcome === 'done' && request.target !== undefined) {
      this.#watchers.remove(sessionId, request.target.connectionId);
    }
    return { result: outcome, view: viewOf(record, context.nowMs) };
  }

  async unwatch(sessionId: string, connectionId: string): Promise<void> {
    this.#watchers.remove(sessionId, connectionId);
  }

  async sweep(_partition: number, limit: number): Promise<SweepOutcome> {
    const nowMs = this.#now().ms;
    const released: string[] = [];
    if (this.#guard.sweep(nowMs)) return { released, more: false, guarded: true };
    this.#records.dropFreed(nowMs - this.#options.timings.retentionMs);
    const gapAtMs = this.#guard.gapAtMs(nowMs);
    let guarded = false;
    for (const [sessionId, record] of this.#records.taken()) {
      if (record.deadlineMs > nowMs) continue;
      if (released.length === limit) return { released, more: true, guarded };
      if (!isDue(record, { nowMs, gapAtMs })) {
        guarded = true;
        this.#records.set(sessionId, { ...record, deadlineMs: gapAtMs + record.leaseMs });
        continue;
      }
      this.#lapsed(sessionId, this.#context(sessionId));
      released.push(sessionId);
    }
    return { released, more: false, guarded };
  }

  #context(sessionId: string): StepContext {
    const now = this.#now();
    return {
      nowMs: now.ms,
      nowUs: now.us,
      // Epochs are times here, and this store's time never goes back: `nowUs` exceeds every epoch that was given.
      epochFloor: 0,
      lockValue: this.#options.lock.holder(sessionId),
      gapAtMs: this.#guard.gapAtMs(now.ms),
      firstWatcher: this.#watchers.first(sessionId),
      timings: this.#options.timings,
    };
  }

  /** The session's record, freed first if its deadline has passed. */
  #lapsed(sessionId: string, context: StepContext): SessionRecord {
    const record = this.#records.get(sessionId);
    if (!isDue(record, context)) return record;
    const freed = lapse(record, sessionId, context);
    this.#commit(sessionId, freed);
    return freed.record;
  }

  /** A passed deadline is no hindrance here: who still has exactly this lease was not released yet. */
  #onLease<V extends 'renew' | 'hold'>(lease: LeaseRef, command: Extract<Command, { verb: V }>): StepOutcome<V> {
    const { sessionId } = lease;
    return this.#step<V>(sessionId, this.#records.get(sessionId), command, this.#context(sessionId)).outcome;
  }

  #commit(sessionId: string, { record, event }: { record: SessionRecord; event?: OwnershipEvent }): void {
    this.#records.set(sessionId, record);
    if (event === undefined) return;
    void this.#options.bus.publish(event);
    this.#options.outbox?.add(event);
  }

  #step<V extends Verb>(
    sessionId: string,
    before: SessionRecord,
    command: Extract<Command, { verb: V }>,
    context: StepContext,
  ): Step<StepOutcome<V>> {
    const done = step<V>(before, command, context);
    if (done.record !== before) this.#commit(sessionId, done);
    return done;
  }

  #claim<V extends 'claim' | 'reclaim'>(
    request: ClaimRequest | ReclaimRequest,
    command: Extract<Command, { verb: V }>,
  ): ClaimOutcome {
    const { sessionId, connectionId } = request;
    const context = this.#context(sessionId);
    const before = this.#lapsed(sessionId, context);
    const { outcome, record, event } = this.#step<V>(sessionId, before, command, context);
    if (request.policy === 'oldest_watcher') {
      const waits = outcome.result === 'unclaimed' || outcome.result === 'not_next';
      if (waits) this.#watchers.add(sessionId, connectionId);
      // The first one let the patience pass: it must not delay the next handover too.
      const passedOver = before.freedAtMs !== 0 && event !== undefined;
      if (passedOver) this.#watchers.remove(sessionId, context.firstWatcher);
    }
    if (outcome.result === 'owned') this.#watchers.remove(sessionId, connectionId);
    const stream = this.#options.streams.state(sessionId);
    return { ...outcome, view: viewOf(record, context.nowMs), stream };
  }
}
