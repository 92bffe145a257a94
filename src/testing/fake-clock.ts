interface Timer {
  readonly id: number;
  dueMs: number;
  readonly everyMs: number | undefined;
  readonly run: () => void;
}

/** Node's timers are objects with these; a browser's are numbers, which this one turns into where one is wanted. */
interface Handle {
  ref(): Handle;
  unref(): Handle;
  hasRef(): boolean;
  [Symbol.toPrimitive](): number;
}

type Work = (...args: unknown[]) => void;
type Original = Pick<typeof globalThis, 'setTimeout' | 'clearTimeout' | 'setInterval' | 'clearInterval'>;

/** More than a test means to have run in one `advance`: timers that set one another without end. */
const MAX_RUNS = 100_000;

/**
 * Time that passes when the test says so: the global `setTimeout`, `setInterval`, their counterparts, `Date.now` and
 * `performance.now`. For test runners that have no fake timers of their own.
 */
export class FakeClock {
  readonly #timers = new Map<number, Timer>();
  #numbers = 0;
  #nowMs = 0;
  #restore: (() => void) | undefined;
  #turn: () => Promise<void> = () => Promise.resolve();

  /** @throws Error when it is installed already */
  install(): this {
    if (this.#restore !== undefined) throw new Error('the clock is installed already');
    const { setTimeout, clearTimeout, setInterval, clearInterval } = globalThis;
    const original: Original = { setTimeout, clearTimeout, setInterval, clearInterval };
    const { now: dateNow } = Date;
    const { now: performanceNow } = performance;
    const startMs = dateNow();
    const monotonicStartMs = performanceNow.call(performance);
    this.#nowMs = 0;
    const set =
      (everyMs: boolean) =>
      (work: Work, delayMs?: number, ...args: unknown[]) =>
        this.#add(() => work(...args), delayMs, everyMs);
    const clear = (handle: unknown) => this.#clear(handle, original);
    Object.assign(globalThis, {
      setTimeout: set(false),
      setInterval: set(true),
      clearTimeout: clear,
      clearInterval: clear,
    });
    Date.now = () => startMs + this.#nowMs;
    performance.now = () => monotonicStartMs + this.#nowMs;
    const { setImmediate = (work: () => void) => setTimeout(work, 0) } = globalThis as {
      setImmediate?: (work: () => void) => unknown;
    };
    this.#turn = () => new Promise((resolve) => setImmediate(resolve));
    this.#restore = () => {
      Object.assign(globalThis, original);
      Date.now = dateNow;
      performance.now = performanceNow;
    };
    return this;
  }

  /** Gives the real ones back. Timers that are still set never run. */
  uninstall(): void {
    this.#restore?.();
    this.#restore = undefined;
    this.#timers.clear();
  }

  /** How many timers are set. */
  get pending(): number {
    return this.#timers.size;
  }

  /**
   * Lets time pass, and everything happen that is due, in order: timers, and what promises do in between.
   * @param ms 0: only what is under way
   * @throws Error when timers set one another without end
   */
  async advance(ms = 0): Promise<void> {
    const untilMs = this.#nowMs + ms;
    await this.#turn();
    for (let runs = 0; ; runs++) {
      const next = this.#next(untilMs);
      if (next === undefined) break;
      if (runs >= MAX_RUNS) throw new Error(`more than ${MAX_RUNS} timers in ${ms} ms`);
      this.#nowMs = Math.max(this.#nowMs, next.dueMs);
      if (next.everyMs === undefined) this.#timers.delete(next.id);
      else next.dueMs += next.everyMs;
      next.run();
      await this.#turn();
    }
    this.#nowMs = untilMs;
  }

  #add(run: () => void, delayMs: number | undefined, repeats: boolean): Handle {
    const ms = Math.max(1, Number(delayMs) || 0);
    const id = ++this.#numbers;
    this.#timers.set(id, { id, dueMs: this.#nowMs + ms, everyMs: repeats ? ms : undefined, run });
    const handle: Handle = {
      ref: () => handle,
      unref: () => handle,
      hasRef: () => this.#timers.has(id),
      [Symbol.toPrimitive]: () => id,
    };
    return handle;
  }

  /** A timer that is not of this clock was set before it was installed. */
  #clear(handle: unknown, original: Original): void {
    const id = typeof handle === 'object' && handle !== null ? Number(handle) : handle;
    if (typeof id === 'number' && this.#timers.delete(id)) return;
    original.clearTimeout(handle as number);
  }

  /** The one that is due first, the older one of two. */
  #next(untilMs: number): Timer | undefined {
    let next: Timer | undefined;
    for (const timer of this.#timers.values()) {
      if (timer.dueMs <= untilMs && (next === undefined || timer.dueMs < next.dueMs)) next = timer;
    }
    return next;
  }
}
