/**
 * The requests of one session over one connection. They start in their order, and those that may share run together;
 * any other runs alone.
 */
export class RequestLine<R extends { readonly shared: boolean }> {
  readonly #waiting: R[] = [];
  readonly #start: (request: R) => void;
  readonly #onIdle: () => void;
  #running = 0;
  #alone = false;
  /** While requests are started, one that ends at once lets the next be started behind it, not within it. */
  #starting = false;

  /**
   * @param start must not throw, and call `ended` when the request is done, which may be at once
   * @param onIdle nothing runs or waits any more
   */
  constructor(start: (request: R) => void, onIdle: () => void) {
    this.#start = start;
    this.#onIdle = onIdle;
  }

  /** Starts it at once when nothing is in its way. */
  add(request: R): void {
    this.#waiting.push(request);
    this.#startNext();
  }

  ended(): void {
    this.#running -= 1;
    this.#alone = false;
    this.#startNext();
  }

  #startNext(): void {
    if (this.#starting) return;
    this.#starting = true;
    for (let next = this.#waiting[0]; next !== undefined && this.#mayStart(next); next = this.#waiting[0]) {
      this.#waiting.shift();
      this.#running += 1;
      this.#alone = !next.shared;
      this.#start(next);
    }
    this.#starting = false;
    if (this.#running === 0 && this.#waiting.length === 0) this.#onIdle();
  }

  #mayStart({ shared }: R): boolean {
    return !this.#alone && (this.#running === 0 || shared);
  }
}
