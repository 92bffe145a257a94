/**
 * The part of a pace that is not used by closing evenly. A client's way back takes now longer, now shorter, and steps
 * come late on a busy machine: with some room the pace is kept by those who come back too.
 */
const RESERVE = 0.2;

/** How long `count` connections take at that pace, in ms. */
export function paceMs(count: number, perSecond: number): number {
  return (count / (perSecond * (1 - RESERVE))) * 1_000;
}

/** The pace at which `count` connections take so long. */
export function paceFor(count: number, ms: number): number {
  return count / (ms / 1_000) / (1 - RESERVE);
}

/**
 * A token bucket: never more than `perSecond` within any second, four fifths of that on average, however late its steps
 * come and however long a close takes.
 */
export class Pace {
  readonly #perMs: number;
  readonly #burst: number;
  #allowed = 0;
  #atMs: number;

  constructor(perSecond: number, nowMs: number) {
    this.#perMs = (perSecond * (1 - RESERVE)) / 1_000;
    this.#burst = Math.max(1, perSecond * RESERVE);
    this.#atMs = nowMs;
  }

  /**
   * Whether one more may go now; if so, it counts as gone.
   * @param leaving how many were let go and are not gone yet. They may all be in the next moment
   */
  take(nowMs: number, leaving = 0): boolean {
    const grown = this.#allowed + (nowMs - this.#atMs) * this.#perMs;
    this.#allowed = Math.max(0, Math.min(this.#burst - leaving, grown));
    this.#atMs = nowMs;
    if (this.#allowed < 1) return false;
    this.#allowed -= 1;
    return true;
  }
}
