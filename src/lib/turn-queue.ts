import { systemClock } from './clock.js';

/** How long one turn of the event loop may be kept; short against what a client notices. */
const SLICE_MS = 10;

/**
 * Runs work in its order, in slices over several turns of the event loop, so that thousands of connections that end at
 * once do not hold up the others. Work alone is run in the next turn.
 */
export class TurnQueue {
  #work: (() => void)[] = [];
  #next = 0;

  /** @param work must not throw */
  add(work: () => void): void {
    if (this.#work.push(work) === 1) setImmediate(() => this.#run());
  }

  #run(): void {
    const untilMs = systemClock.monotonicMs() + SLICE_MS;
    while (this.#next < this.#work.length && systemClock.monotonicMs() < untilMs) this.#work[this.#next++]?.();
    if (this.#next < this.#work.length) {
      setImmediate(() => this.#run());
      return;
    }
    this.#work = [];
    this.#next = 0;
  }
}
