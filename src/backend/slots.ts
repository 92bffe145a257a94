/** Lets so many calls run at once; the others wait their turn, but not too many of them. */
export class Slots {
  readonly #maxWaiting: number;
  readonly #waiting = new Set<() => void>();
  #free: number;

  constructor(slots: number, maxWaiting: number) {
    this.#free = slots;
    this.#maxWaiting = maxWaiting;
  }

  /** @returns whether a slot was to be had before `signal` aborted; it must be given back with `leave` */
  async enter(signal: AbortSignal): Promise<boolean> {
    if (this.#free > 0) {
      this.#free -= 1;
      return true;
    }
    if (this.#waiting.size >= this.#maxWaiting || signal.aborted) return false;
    return new Promise((resolve) => {
      const abort = () => {
        this.#waiting.delete(take);
        resolve(false);
      };
      const take = () => {
        signal.removeEventListener('abort', abort);
        resolve(true);
      };
      signal.addEventListener('abort', abort, { once: true });
      this.#waiting.add(take);
    });
  }

  leave(): void {
    const [next] = this.#waiting;
    if (next === undefined) {
      this.#free += 1;
      return;
    }
    this.#waiting.delete(next);
    next();
  }
}
