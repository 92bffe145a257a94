import type { OwnershipTimings } from '../../session/ports.js';

/** Notices a silence in which a blocked node could not renew: it must not release anybody at once. */
export class SweepGuard {
  readonly #timings: OwnershipTimings;
  #lastSweepMs = Number.NEGATIVE_INFINITY;
  #gapAtMs = Number.NEGATIVE_INFINITY;

  constructor(timings: OwnershipTimings) {
    this.#timings = timings;
  }

  /** When the last gap was found; Infinity while there is one that no sweep has found yet. */
  gapAtMs(nowMs: number): number {
    return this.#isGap(nowMs) ? Number.POSITIVE_INFINITY : this.#gapAtMs;
  }

  /** To be called by each sweep. @returns whether there was a gap before it */
  sweep(nowMs: number): boolean {
    const isGap = this.#isGap(nowMs);
    if (isGap) this.#gapAtMs = nowMs;
    this.#lastSweepMs = nowMs;
    return isGap;
  }

  #isGap(nowMs: number): boolean {
    return nowMs - this.#lastSweepMs > this.#timings.maxSweepGapMs;
  }
}
