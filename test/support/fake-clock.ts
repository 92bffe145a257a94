import type { Clock } from '../../src/lib/clock.js';

/** A clock that moves only when told to. */
export class FakeClock implements Clock {
  #wallMs = Date.UTC(2030, 0, 1);
  #monotonicMs = 1_000;

  wallMs(): number {
    return this.#wallMs;
  }

  monotonicMs(): number {
    return this.#monotonicMs;
  }

  advance(ms: number): void {
    this.#wallMs += ms;
    this.#monotonicMs += ms;
  }

  /** The wall clock is set, or the machine was suspended: monotonic time does not follow. */
  jumpWall(ms: number): void {
    this.#wallMs += ms;
  }
}
