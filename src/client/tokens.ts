/** Where reconnect tokens are while the client runs, and where they wait for its next run. */
import { isPage, onLeave } from './page.js';

/** What Web Storage offers, as far as it is needed. Each call may throw. */
export interface TokenStorage {
  getItem(key: string): string | null;
  setItem(key: string, value: string): void;
  removeItem(key: string): void;
}

const MAX_TOKEN_LENGTH = 512;

/**
 * The reconnect tokens of one client. In a page the storage holds a token only while the page is *not* running: it is
 * taken out when first asked for and put back when the page is left. A tab that is duplicated meanwhile finds nothing
 * to take its original's sessions with. Outside of a page every change is written through.
 */
export class Tokens {
  readonly #current = new Map<string, string>();
  readonly #storage: TokenStorage | undefined;
  readonly #prefix: string;
  readonly #inPage: boolean;
  readonly #unlisten: () => void;

  constructor(storage: TokenStorage | undefined, url: string) {
    this.#storage = storage;
    this.#prefix = `holdfast:${url}:`;
    this.#inPage = storage !== undefined && isPage();
    this.#unlisten = this.#inPage
      ? onLeave(
          () => this.#putBack(),
          () => this.#takeOut(),
        )
      : () => {};
  }

  get(sessionId: string): string | undefined {
    const current = this.#current.get(sessionId);
    if (current !== undefined) return current;
    const stored = this.#attempt((storage) => storage.getItem(this.#prefix + sessionId)) ?? '';
    if (stored === '' || stored.length > MAX_TOKEN_LENGTH) return undefined;
    this.#current.set(sessionId, stored);
    if (this.#inPage) this.#attempt((storage) => storage.removeItem(this.#prefix + sessionId));
    return stored;
  }

  set(sessionId: string, token: string): void {
    this.#current.set(sessionId, token);
    if (!this.#inPage) this.#attempt((storage) => storage.setItem(this.#prefix + sessionId, token));
  }

  delete(sessionId: string): void {
    this.#current.delete(sessionId);
    this.#attempt((storage) => storage.removeItem(this.#prefix + sessionId));
  }

  /** Leaves what is current to the next run. */
  close(): void {
    this.#unlisten();
    this.#putBack();
  }

  #putBack(): void {
    for (const [sessionId, token] of this.#current) {
      this.#attempt((storage) => storage.setItem(this.#prefix + sessionId, token));
    }
  }

  #takeOut(): void {
    for (const sessionId of this.#current.keys()) {
      this.#attempt((storage) => storage.removeItem(this.#prefix + sessionId));
    }
  }

  /** A storage that is full or forbidden costs the next run its token, nothing else. */
  #attempt<T>(use: (storage: TokenStorage) => T): T | undefined {
    try {
      return this.#storage === undefined ? undefined : use(this.#storage);
    } catch {
      return undefined;
    }
  }
}
