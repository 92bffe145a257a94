/** A request that waits for its turn or is under way. */
export interface Request {
  /** Whether it may run beside others of its kind; else it runs alone. */
  shared: boolean;
  /** Never rejects. */
  perform(): Promise<void>;
}

/** The requests of one session over one connection. They start in their order, and those that may share run together. */
export class RequestLine {
  readonly #waiting: Request[] = [];
  readonly #onIdle: () => void;
  #running = 0;
  #alone = false;

  /** @param onIdle nothing runs or waits any more */
  constructor(onIdle: () => void) {
    this.#onIdle = onIdle;
  }

  /** Starts it at once when nothing is in its way. */
  add(request: Request): void {
    this.#waiting.push(request);
    this.#startNext();
  }

  #startNext(): void {
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      if (this.#alone || (this.#running > 0 && !next.shared)) return;
      this.#waiting.shift();
      this.#running += 1;
      this.#alone = !next.shared;
      void next.perform().then(() => {
        this.#running -= 1;
        this.#alone = false;
        this.#startNext();
        if (this.#running === 0 && this.#waiting.length === 0) this.#onIdle();
      });
    }
  }
}
