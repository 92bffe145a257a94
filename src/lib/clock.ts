/** Read once: in Node the global is a getter. */
const { performance } = globalThis;

/** Time as the code sees it, so that tests can move it. */
export interface Clock {
  /** Wall time in ms since 1970. May jump. For logs and for detecting suspension, never for deadlines. */
  wallMs(): number;
  /** Monotonic time in ms since an arbitrary start. Never goes back; stands still while the machine sleeps. */
  monotonicMs(): number;
}

export const systemClock: Clock = {
  wallMs: () => Date.now(),
  monotonicMs: () => performance.now(),
};

/** The system's clock, put right by another one. */
export class CorrectedClock implements Clock {
  readonly #system: Clock;
  /** How far the system's clock is ahead of the other one. */
  aheadMs = 0;

  constructor(system: Clock = systemClock) {
    this.#system = system;
  }

  wallMs(): number {
    return this.#system.wallMs() - this.aheadMs;
  }

  monotonicMs(): number {
    return this.#system.monotonicMs();
  }
}
