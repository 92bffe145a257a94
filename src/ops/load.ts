import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks';

const WINDOW_MS = 1_000;
const RESOLUTION_MS = 10;

/** Says that the node is overloaded while its event loop was late by more than a threshold in the last second. */
export class LoadMonitor {
  readonly #delay: IntervalHistogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  readonly #timer: NodeJS.Timeout;
  #late = false;

  /** @param maxDelayMs the median delay beyond which the node is overloaded: one long turn is not, a full loop is */
  constructor(maxDelayMs: number) {
    this.#delay.enable();
    this.#timer = setInterval(() => {
      this.#late = this.#delay.percentile(50) / 1e6 - RESOLUTION_MS > maxDelayMs;
      this.#delay.reset();
    }, WINDOW_MS).unref();
  }

  overloaded(): boolean {
    return this.#late;
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#delay.disable();
  }
}
