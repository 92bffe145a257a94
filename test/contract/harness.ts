import { createHash, randomUUID } from 'node:crypto';
import type {
  ClaimOutcome,
  ClaimRequest,
  LeaseRef,
  OwnershipEvent,
  OwnershipStore,
  OwnershipTimings,
  ReclaimRequest,
  ReleaseRequest,
  SessionBus,
  SessionLock,
  TransferRequest,
} from '../../src/session/ports.js';

/** What an implementation brings along to be held to the contract. */
export interface StoreHarness {
  store: OwnershipStore;
  /** Another node's store over the same data; where there is only one node, the same. */
  other: OwnershipStore;
  bus: SessionBus;
  lock: SessionLock;
  timings: OwnershipTimings;
  /** Lets the store's time pass. */
  wait(ms: number): Promise<void>;
  close(): Promise<void>;
}

export type MakeHarness = (timings?: Partial<OwnershipTimings>) => Promise<StoreHarness>;

/** Long enough to stay valid while a slow machine does a few calls, short enough to be waited for. */
export const LEASE_MS = 250;
export const LONG_MS = 60_000;

export const TEST_TIMINGS: OwnershipTimings = {
  maxSweepGapMs: LONG_MS,
  attemptWindowMs: 800,
  retentionMs: LONG_MS,
  handoverPatienceMs: 400,
  busyExtensionMs: 5_000,
};

export const hashOf = (value: string): string => createHash('sha256').update(value).digest('hex');

/** A new hash at each call, like that of a new token. */
export const freshHash = (): string => hashOf(randomUUID());

/** One session of one test, with everything that was published about it. */
export interface TestSession {
  id: string;
  claim(connectionId: string, extra?: Partial<ClaimRequest>): ClaimRequest;
  reclaim(connectionId: string, presentedTokenHash: string, extra?: Partial<ReclaimRequest>): ReclaimRequest;
  release(lease: LeaseRef, extra?: Partial<ReleaseRequest>): ReleaseRequest;
  transfer(expectedEpoch: number, toConnectionId?: string, extra?: Partial<TransferRequest>): TransferRequest;
  lease(outcome: ClaimOutcome): LeaseRef;
  /** All ownership events up to now, in the order in which they arrived. */
  events(): Promise<OwnershipEvent[]>;
}

export class Bench {
  readonly #harness: StoreHarness;
  readonly #events = new Map<string, OwnershipEvent[]>();
  readonly #barriers = new Map<string, () => void>();

  constructor(harness: StoreHarness) {
    this.#harness = harness;
    harness.bus.onEvent((event) => {
      if (event.kind === 'ownership') this.#events.get(event.sessionId)?.push(event);
      else if (event.kind === 'transfer_offer') this.#barriers.get(event.requestId)?.();
    });
  }

  async session(id = `test:${randomUUID()}`): Promise<TestSession> {
    const events: OwnershipEvent[] = [];
    this.#events.set(id, events);
    await this.#harness.bus.subscribe(id);
    return {
      ...requestsFor(id),
      events: async () => {
        await this.#barrier(id);
        return [...events];
      },
    };
  }

  /** Events arrive in order: what was published before this offer is here once the offer is. */
  #barrier(sessionId: string): Promise<void> {
    const requestId = randomUUID();
    return new Promise((resolve, reject) => {
      this.#barriers.set(requestId, resolve);
      const offer = {
        kind: 'transfer_offer',
        sessionId,
        requestId,
        lockValue: '',
        expectedEpoch: 0,
        target: {},
      } as const;
      this.#harness.bus.publish(offer).catch(reject);
    });
  }
}

export function requestsFor(id: string): Omit<TestSession, 'events'> {
  const caller = (connectionId: string) => ({
    sessionId: id,
    requestId: randomUUID(),
    connectionId,
    nodeId: 'node-1',
    bootId: 'boot-1',
    principal: 'principal-1',
    principalRule: 'exact' as const,
    tokenHash: freshHash(),
    attemptHash: '',
    policy: 'next_subscriber' as const,
    leaseMs: LONG_MS,
    lockValue: '',
  });
  return {
    id,
    claim: (connectionId, extra) => ({ ...caller(connectionId), mode: 'subscribe', ...extra }),
    reclaim: (connectionId, presentedTokenHash, extra) => ({
      ...caller(connectionId),
      presentedTokenHash,
      claimIfExpired: true,
      ...extra,
    }),
    release: (lease, extra) => ({
      ...lease,
      requestId: randomUUID(),
      reason: 'released',
      policy: 'next_subscriber',
      staysWatching: false,
      ...extra,
    }),
    transfer: (expectedEpoch, toConnectionId, extra) => ({
      sessionId: id,
      requestId: randomUUID(),
      lockValue: '',
      expectedEpoch,
      reason: toConnectionId === undefined ? 'removed' : 'transferred',
      target: toConnectionId === undefined ? undefined : caller(toConnectionId),
      ...extra,
    }),
    lease: ({ view }) => ({ sessionId: id, connectionId: view.connectionId, epoch: view.epoch }),
  };
}

/** Sweeps every partition until nothing more is due. @returns what was released, once for each release */
export async function sweepAll(store: OwnershipStore, limit = 1_000): Promise<string[]> {
  const released: string[] = [];
  for (let partition = 0; partition < store.partitions; partition += 1) {
    for (let more = true; more; ) {
      const outcome = await store.sweep(partition, limit);
      released.push(...outcome.released);
      more = outcome.more;
    }
  }
  return released;
}

/** A harness past the gap with which every store begins. */
export async function startedHarness(make: MakeHarness, timings?: Partial<OwnershipTimings>): Promise<StoreHarness> {
  const harness = await make(timings);
  await sweepAll(harness.store);
  return harness;
}
