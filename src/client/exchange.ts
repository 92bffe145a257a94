import type { Operation } from './operations.js';

type Timer = ReturnType<typeof setTimeout>;

/** One session's talk with the gateway: at most one request on its way, or a wait before the next one. */
export class Exchange {
  #request: { id: string; timer: Timer; operation: Operation | undefined } | undefined;
  #wait: Timer | undefined;

  /** True while nothing may be sent. */
  get busy(): boolean {
    return this.#request !== undefined || this.#wait !== undefined;
  }

  awaits(id: string | undefined): boolean {
    return this.#request !== undefined && this.#request.id === id;
  }

  /** @param operation what the request is for; undefined for a subscription */
  begin(id: string, operation: Operation | undefined, timeoutMs: number, onTimeout: () => void): void {
    this.#request = { id, operation, timer: setTimeout(onTimeout, timeoutMs) };
  }

  /** @returns the operation that the request was for; undefined for a subscription */
  answered(): Operation | undefined {
    const request = this.#request;
    clearTimeout(request?.timer);
    this.#request = undefined;
    return request?.operation;
  }

  wait(delayMs: number, then: () => void): void {
    clearTimeout(this.#wait);
    this.#wait = setTimeout(() => {
      this.#wait = undefined;
      then();
    }, delayMs);
  }

  /** The connection is gone: neither an answer nor a wait means anything any more. */
  reset(): void {
    this.answered();
    clearTimeout(this.#wait);
    this.#wait = undefined;
  }
}
