import type { Operation, OperationKind } from './operations.js';

type Timer = ReturnType<typeof setTimeout>;

/** One session's talk with the gateway: at most one request on its way, or a wait before the next one. */
export class Exchange {
  #request: { id: string; timer: Timer; operation: Operation | undefined } | undefined;
  #wait: Timer | undefined;

  /** True while nothing may be sent. */
  get busy(): boolean {
    return this.#request !== undefined || this.#wait !== undefined;
  }

  /** @param kind of the request that is answered; an error answers any */
  awaits(id: string | undefined, kind?: OperationKind | 'subscribe'): boolean {
    if (this.#request === undefined || this.#request.id !== id) return false;
    return kind === undefined || kind === (this.#request.operation?.kind ?? 'subscribe');
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
