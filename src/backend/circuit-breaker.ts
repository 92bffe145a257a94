import type { Clock } from '../lib/clock.js';

const FAILURES = 5;
const FIRST_OPEN_MS = 1_000;
const MAX_OPEN_MS = 30_000;

/**
 * Spares an application that is away: after 5 failures in a row nothing is sent for a second, then one probe; each
 * failed probe doubles the wait, up to 30 s. Any success ends it.
 */
export class CircuitBreaker {
  readonly #clock: Clock;
  readonly #onChange: (open: boolean) => void;
  #failures = 0;
  #openMs = 0;
  #openUntilMs = 0;
  #probing = false;

  constructor(clock: Clock, onChange: (open: boolean) => void) {
    this.#clock = clock;
    this.#onChange = onChange;
  }

  /** How long nothing may be sent; 0 when something may. */
  waitMs(): number {
    if (this.#openMs === 0) return 0;
    const waitMs = Math.ceil(this.#openUntilMs - this.#clock.monotonicMs());
    // How long the probe takes is not known.
    return this.#probing ? Math.max(waitMs, FIRST_OPEN_MS) : Math.max(waitMs, 0);
  }

  /** To be called before a call is sent, when `waitMs` is 0. @returns whether it is the probe */
  begin(): boolean {
    this.#probing = this.#openMs > 0;
    return this.#probing;
  }

  succeeded(): void {
    const wasOpen = this.#openMs > 0;
    this.#failures = 0;
    this.#openMs = 0;
    this.#probing = false;
    if (wasOpen) this.#onChange(false);
  }

  /** @param probe what `begin` gave */
  failed(probe: boolean): void {
    const isOpen = this.#openMs > 0;
    // Calls that were under way when it opened say nothing new.
    if (isOpen && !probe) return;
    this.#failures += 1;
    if (!isOpen && this.#failures < FAILURES) return;
    this.#probing = false;
    this.#openMs = isOpen ? Math.min(this.#openMs * 2, MAX_OPEN_MS) : FIRST_OPEN_MS;
    this.#openUntilMs = this.#clock.monotonicMs() + this.#openMs;
    if (!isOpen) this.#onChange(true);
  }
}
