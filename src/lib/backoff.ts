/** Exponential growth between two bounds, in ms. */
export interface BackoffBounds {
  baseMs: number;
  capMs: number;
}

/**
 * Full-jitter backoff: uniform between 0 and the exponential bound, so that clients cut off together come back apart.
 * @param attempt 0 for the first
 * @param random uniform in [0, 1)
 * @returns whole ms, at most `capMs`
 */
export function fullJitterMs(attempt: number, { baseMs, capMs }: BackoffBounds, random = Math.random): number {
  return Math.floor(random() * Math.min(capMs, baseMs * 2 ** Math.min(attempt, 30)));
}

/** Equal jitter: half of `ms` for certain, of the other half a random part. */
export function equalJitterMs(ms: number): number {
  return ms * (0.5 + Math.random() / 2);
}

/** Up to a quarter more or less, so that what every node does from time to time does not fall together. */
export function roughlyMs(ms: number): number {
  return ms * (0.75 + Math.random() / 2);
}
