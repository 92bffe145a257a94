/** Shorter waits notice a sleep sooner, since timers may stand still while the machine sleeps. */
const TICK_MS = 5_000;
/** Later than this is not a busy machine, but one that slept, or a page that was frozen. */
const LATE_MS = 5_000;

/** One timer that knows how long the machine slept: then the clock on the wall, or the timer itself, is far ahead. */
export class Alarm {
  #timer: ReturnType<typeof setTimeout> | undefined;

  get isSet(): boolean {
    return this.#timer !== undefined;
  }

  /**
   * In place of what it was set to before.
   * @param due called once; with `slept` as soon as a sleep is noticed, which may be before the time
   */
  set(delayMs: number, due: (slept: boolean) => void): void {
    clearTimeout(this.#timer);
    const tickMs = Math.min(delayMs, TICK_MS);
    const [wallMs, steadyMs] = [Date.now(), performance.now()];
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      const slept = Math.max(Date.now() - wallMs, performance.now() - steadyMs) - tickMs > LATE_MS;
      if (slept || tickMs === delayMs) due(slept);
      else this.set(delayMs - tickMs, due);
    }, tickMs);
  }

  clear(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}
