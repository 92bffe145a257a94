import type { Lease } from './leases.js';

const SECOND_MS = 1_000;

/** How much each owner may send: so many messages a second, as many of them at once. */
export class SendQuota {
  /** When what was sent so far is paid off; a point in the past is as good as none. */
  readonly #paidAtMs = new WeakMap<Lease, number>();

  /** Counts a message unless it is one too many. @returns in how many ms it would not be; 0 when counted */
  take(lease: Lease, perSecond: number, nowMs: number): number {
    const paidAtMs = Math.max(this.#paidAtMs.get(lease) ?? nowMs, nowMs) + SECOND_MS / perSecond;
    const excessMs = Math.ceil(paidAtMs - nowMs - SECOND_MS);
    if (excessMs > 0) return excessMs;
    this.#paidAtMs.set(lease, paidAtMs);
    return 0;
  }
}
