import type { Log } from '../lib/log.js';
import type { HandoverPolicy, LeaseRef, OwnershipStore, ReleaseRequest } from './ports.js';

interface Departure {
  lease: LeaseRef;
  /** Freed, and why; held when absent. */
  release: ReleaseRequest['reason'] | undefined;
  holdMs: number;
  policy: HandoverPolicy;
  requestId: string;
}

const RETRY_MS = 250;
const MAX_FAILURES = 240;

/**
 * Leases whose connections are gone: marks them held (or free) in the store, all of one event-loop turn together, and
 * keeps trying while the store is away. Should the node die first, the lease lapses by itself.
 */
export class Departures {
  readonly #store: OwnershipStore;
  readonly #log: Log;
  #waiting: Departure[] = [];
  #flushing: Promise<void> | undefined;

  constructor(options: { store: OwnershipStore; log: Log }) {
    this.#store = options.store;
    this.#log = options.log;
  }

  add(lease: LeaseRef, how: Omit<Departure, 'lease' | 'requestId'>): void {
    this.#waiting.push({ ...how, lease, requestId: crypto.randomUUID() });
    this.#flushing ??= this.#flush();
  }

  /** Resolves when everything that was added is in the store or given up. */
  async settled(): Promise<void> {
    while (this.#flushing !== undefined) await this.#flushing;
  }

  async #flush(): Promise<void> {
    let failures = 0;
    while (this.#waiting.length > 0 && failures < MAX_FAILURES) {
      await new Promise((resolve) => (failures === 0 ? setImmediate(resolve) : setTimeout(resolve, RETRY_MS)));
      const departures = this.#waiting;
      this.#waiting = [];
      const failed = await this.#write(departures);
      this.#waiting.unshift(...failed);
      failures = failed.length > 0 ? failures + 1 : 0;
    }
    if (this.#waiting.length > 0) this.#log.error({ leases: this.#waiting.length }, 'gave up; the leases lapse');
    this.#waiting = [];
    this.#flushing = undefined;
  }

  /** @returns those to try again */
  async #write(departures: readonly Departure[]): Promise<Departure[]> {
    const failed: Departure[] = [];
    const holds = new Map<number, Departure[]>();
    for (const departure of departures) {
      if (departure.release !== undefined) continue;
      const group = holds.get(departure.holdMs);
      if (group === undefined) holds.set(departure.holdMs, [departure]);
      else group.push(departure);
    }
    await Promise.all([
      ...departures.map(async (departure) => {
        const { lease, requestId, policy, release: reason } = departure;
        if (reason === undefined) return;
        const { sessionId, connectionId, epoch } = lease;
        const ref = { sessionId, connectionId, epoch };
        const request = { ...ref, requestId, policy, reason, staysWatching: false } as const;
        await this.#store.release(request).catch(() => failed.push(departure));
      }),
      ...Array.from(holds, async ([holdMs, group]) => {
        const leases = group.map(({ lease }) => lease);
        await this.#store.hold(leases, holdMs).catch(() => failed.push(...group));
      }),
    ]);
    if (failed.length > 0) this.#log.warn({ leases: failed.length }, 'leases not handed over yet');
    return failed;
  }
}
