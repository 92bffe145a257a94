import type { OwnershipTimings } from '../../session/ports.js';

/** Keeps an unexpected silence from releasing anybody: what a blocked node could not renew gets the guard time. */
export class SweepGuard {
  readonly #timings: OwnershipTimings;
  #lastSweepMs = Number.NEGATIVE_INFINITY;
  #guardEndMs = Number.NEGATIVE_INFINITY;

  constructor(timings: OwnershipTimings) {
    this.#timings = timings;
  }

  mayLapse(nowMs: number): boolean {
    return nowMs - this.#lastSweepMs <= this.#timings.maxSweepGapMs && nowMs >= this.#guardEndMs;
  }

  /** To be called by each sweep. @returns whether it may release */
  sweep(nowMs: number): boolean {
    if (nowMs - this.#lastSweepMs > this.#timings.maxSweepGapMs) this.#guardEndMs = nowMs + this.#timings.guardMs;
    this.#lastSweepMs = nowMs;
    return this.mayLapse(nowMs);
  }
}
