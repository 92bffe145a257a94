export interface BucketLimits {
  perSecond: number;
  burst: number;
}

/** A token bucket that refills by elapsed time. Two numbers, no timer. */
export class TokenBucket {
  /** Below zero is debt. */
  tokens: number;
  #refilledAtMs: number;

  constructor(limits: BucketLimits, nowMs: number) {
    this.tokens = limits.burst;
    this.#refilledAtMs = nowMs;
  }

  /**
   * Takes `cost` tokens, or none.
   * @returns 0 when taken, else in how many ms there will be enough
   */
  take(cost: number, { perSecond, burst }: BucketLimits, nowMs: number): number {
    this.tokens = Math.min(burst, this.tokens + ((nowMs - this.#refilledAtMs) * perSecond) / 1000);
    this.#refilledAtMs = nowMs;
    if (this.tokens < cost) return Math.ceil(((cost - this.tokens) * 1000) / perSecond);
    this.tokens -= cost;
    return 0;
  }
}
