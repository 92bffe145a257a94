/** Renews the credential of an open connection over the connection itself. */
import type { ClientMessage, ServerMessage } from '../protocol/messages.js';
import { bounded } from './bounded.js';
import { ClientError } from './errors.js';
import { requestDelayMs } from './retry-plan.js';

export interface RenewalLink {
  readonly requestTimeoutMs: number;
  /** The application's own JWT, which the gateway cannot renew itself. */
  readonly getAccessToken: (() => string | Promise<string>) | undefined;
  send(message: ClientMessage): void;
  nextRequestId(): string;
  onError(error: ClientError): void;
}

type ErrorMessage = Extract<ServerMessage, { type: 'error' }>;

/**
 * Asks again until the gateway has renewed, or says that it will not. Nothing here closes the connection: it works, and
 * when it may work no longer is the node's to decide.
 */
export class Renewal {
  readonly #link: RenewalLink;
  /** Aborted when there is nothing to renew any more. */
  #running: AbortController | undefined;
  #requestId: string | undefined;
  #failures = 0;
  /** Until the answer is late, or until the next try. */
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(link: RenewalLink) {
    this.#link = link;
  }

  /** Does nothing while it is under way. */
  start(): void {
    if (this.#running !== undefined) return;
    this.#failures = 0;
    this.#running = new AbortController();
    void this.#ask(this.#running);
  }

  /** @returns whether the error was the answer to the renewal */
  refused({ id, code, message, retryable, retry_after_ms: retryAfterMs }: ErrorMessage): boolean {
    if (id === undefined || id !== this.#requestId) return false;
    // The application may have given the JWT that it still has, and soon give its successor.
    const isStale = this.#link.getAccessToken !== undefined && code === 'invalid_field';
    if (retryable || isStale) {
      this.#askAgain(retryAfterMs);
    } else {
      this.stop();
      this.#link.onError(new ClientError(code, message, { retryAfterMs }));
    }
    return true;
  }

  /** It is renewed, or the connection is gone. */
  stop(): void {
    clearTimeout(this.#timer);
    this.#running?.abort();
    this.#running = undefined;
    this.#requestId = undefined;
  }

  async #ask(running: AbortController): Promise<void> {
    const { getAccessToken, requestTimeoutMs } = this.#link;
    let token: string | undefined;
    try {
      token = getAccessToken && (await bounded(async () => getAccessToken(), requestTimeoutMs, running.signal));
    } catch (cause) {
      if (running !== this.#running) return;
      this.#link.onError(new ClientError('renewal_failed', 'there was no access token to renew with', { cause }));
      return this.#askAgain();
    }
    if (running !== this.#running) return;
    this.#requestId = this.#link.nextRequestId();
    this.#timer = setTimeout(() => this.#askAgain(), requestTimeoutMs);
    const access = token !== undefined && { access_token: token };
    this.#link.send({ type: 'renew_login', id: this.#requestId, ...access });
  }

  #askAgain(afterMs?: number): void {
    const running = this.#running;
    if (running === undefined) return;
    clearTimeout(this.#timer);
    this.#requestId = undefined;
    this.#timer = setTimeout(() => void this.#ask(running), requestDelayMs(this.#failures++, afterMs));
  }
}
