/** Where the requests of a login go, and for how long they are tried. */
import { bounded } from '../bounded.js';
import { originOfPage } from '../page.js';
import type { TokenStorage } from '../storage.js';
import { gatewayOrigin, otherGateways } from './gateway-origin.js';
import { type AuthRequest, type Fetch, sendAuthRequest } from './http.js';
import { bearer } from './keeper.js';
import type { LoginOptions } from './options.js';
import { type RetryLimits, retried } from './retried.js';

const GATEWAY_KEY = 'holdfast:gateway';

export class LoginRequests {
  readonly #fetch: Fetch;
  readonly #storage: TokenStorage;
  readonly #own: string;
  readonly #others: ReadonlySet<string>;
  readonly #limits: RetryLimits;
  readonly #closed = new AbortController();

  /** @throws TypeError for a gateway that is none, and without one outside of a page */
  constructor(options: LoginOptions, storage: TokenStorage) {
    const {
      fetch = globalThis.fetch.bind(globalThis),
      requestTimeoutMs = 10_000,
      operationTimeoutMs = 30_000,
    } = options;
    this.#fetch = fetch;
    this.#storage = storage;
    this.#own = gatewayOrigin(options.url, originOfPage());
    this.#others = otherGateways(options.gateways ?? [], originOfPage());
    this.#limits = { requestTimeoutMs, operationTimeoutMs };
  }

  /** The origin that requests go to: the one of the last exchange. */
  get gateway(): string {
    const stored = this.#storage.getItem(GATEWAY_KEY) ?? '';
    return this.#others.has(stored) ? stored : this.#own;
  }

  /** @throws TypeError for one that the options do not name */
  named(gateway: string = this.#own): string {
    const { origin } = new URL(gateway);
    if (origin === this.#own || this.#others.has(origin)) return origin;
    throw new TypeError('this gateway is not one of `gateways`');
  }

  /** For all tabs, and the pages to come. */
  set gateway(origin: string) {
    if (origin === this.#own) this.#storage.removeItem(GATEWAY_KEY);
    else this.#storage.setItem(GATEWAY_KEY, origin);
  }

  /** @throws as `sendAuthRequest` */
  send(request: AuthRequest, signal: AbortSignal, origin = this.gateway): Promise<object> {
    return sendAuthRequest(this.#fetch, origin, request, signal);
  }

  /** Ends a login that came too late for anybody to have it. */
  abandon(accessToken: string, signal: AbortSignal, origin: string): void {
    this.send({ path: 'logout', credentials: bearer(accessToken) }, signal, origin).catch(() => {});
  }

  /** One try. @throws ClientError `timeout`, `stopped` */
  once<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    return bounded(work, this.#limits.requestTimeoutMs, this.#closed.signal);
  }

  /** As many tries as make sense. @throws ClientError `timeout`, `stopped` */
  retried<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    return retried(work, this.#limits, this.#closed.signal);
  }

  close(): void {
    this.#closed.abort();
  }
}
