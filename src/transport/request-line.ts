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
    if (this.#running === 0 && this.#waiting.length === 0) this.#onIdle();
  }

  #startNext(): void {
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      if (this.#alone || (this.#running > 0 && !next.shared)) return;
      this.#waiting.shift();
      this.#running += 1;
      this.#alone = !next.shared;
      this.#start(next);
    }
  }
}
