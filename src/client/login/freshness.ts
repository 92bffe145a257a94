/** Has the access token of a login renewed while it still lasts, so that nobody ever waits for a new one. */
import { equalJitterMs } from '../../lib/backoff.js';
import { isPage } from '../page.js';
import type { HeldToken } from './access-token.js';

/** After a refresh that failed with all its retries; half of it at random, so that an outage is not followed by a rush. */
const RETRY_MS = 60_000;
/** The longest that timers can wait. */
const MAX_WAIT_MS = 2 ** 31 - 1;

/**
 * Renews over an open connection where there is one, else by a refresh, and in a page only while somebody looks at it:
 * a hidden tab refreshes when it is next looked at, or when it needs the token.
 */
export class Freshness {
  readonly #refresh: () => Promise<unknown>;
  readonly #offers = new Set<() => void>();
  #closed = false;
  #token: HeldToken | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(refresh: () => Promise<unknown>) {
    this.#refresh = refresh;
  }

  /** The token to be renewed from now on. Without one there is nothing to be done, and connections are another login's. */
  keep(token: HeldToken | undefined): void {
    if (this.#closed) return;
    this.#token = token;
    if (token === undefined) this.#offers.clear();
    this.#wait(token?.dueInMs(Date.now()));
  }

  /** A connection that can renew. @returns what says that it is gone */
  offer(renew: () => void): () => void {
    this.#offers.add(renew);
    this.check();
    return () => {
      if (this.#offers.delete(renew)) this.check();
    };
  }

  /** For good, whatever is still under way. */
  close(): void {
    this.keep(undefined);
    this.#closed = true;
  }

  /** Renews what is due: timers of a machine that slept, or of a tab in the background, come late. */
  check(): void {
    if (this.#token === undefined) return;
    const dueInMs = this.#token.dueInMs(Date.now());
    if (dueInMs > 0) return this.#wait(dueInMs);
    // The connection repeats it until there is an answer, or until it is gone.
    const [renew] = this.#offers;
    if (renew !== undefined) return renew();
    const isHidden = isPage() && document.visibilityState === 'hidden';
    if (!isHidden) this.#refresh().catch(() => this.#wait(equalJitterMs(RETRY_MS)));
  }

  #wait(ms?: number): void {
    clearTimeout(this.#timer);
    if (this.#token === undefined || ms === undefined) return;
    const timer: unknown = (this.#timer = setTimeout(() => this.check(), Math.min(ms, MAX_WAIT_MS)));
    // In Node a login that nobody uses keeps no program running.
    (timer as { unref?: () => void }).unref?.();
  }
}
