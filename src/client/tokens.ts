/** Where reconnect tokens are while the client runs, and where they wait for its next run. */
import { isPage, onAdded, onLeave } from './page.js';
import { randomId } from './random-id.js';
import { type SafeStorage, safeStorage, type TokenStorage } from './storage.js';

const MAX_TOKEN_LENGTH = 512;

/**
 * The reconnect tokens of one client. In a page the storage holds a token only while the page is *not* running: it is
 * taken out when first asked for and put back when the page is left. A tab that is duplicated meanwhile finds nothing
 * to take its original's sessions with. Outside of a page every change is written through.
 *
 * Left beside a token is the attempt that presented it when the page was left before the answer. Only with that can the
 * next page have the same answer: for any other attempt the token is used, and the session held for the page that is gone.
 */
export class Tokens {
  readonly #current = new Map<string, string>();
  /** In a page: by which sessions are being subscribed, as long as that is not answered. */
  readonly #attempts = new Map<string, string>();
  readonly #storage: SafeStorage;
  readonly #prefix: string;
  /** Whose tokens these are. No token's key: a URL is no session id's beginning. */
  readonly #principalKey: string;
  #principal: string | undefined;
  readonly #inPage: boolean;
  readonly #unlisten: () => void;

  constructor(storage: TokenStorage | undefined, url: string) {
    this.#storage = safeStorage(storage);
    this.#prefix = `holdfast:${url}:`;
    this.#principalKey = `holdfast:principal:${url}`;
    this.#inPage = storage !== undefined && isPage();
    const unlisten = !this.#inPage
      ? []
      : [
          onLeave(
            () => this.#putBack(),
            () => this.#takeOut(),
          ),
          onAdded(storage, (key) => this.#onAdded(key)),
        ];
    this.#unlisten = () => {
      for (const each of unlisten) each();
    };
  }

  get(sessionId: string): string | undefined {
    const current = this.#current.get(sessionId);
    if (current !== undefined) return current;
    const stored = this.#takeStored(sessionId);
    if (stored !== undefined) this.#current.set(sessionId, stored);
    return stored;
  }

  /** The `attempt_id` of a subscription that begins: a fresh one, or that of the page before, which got no answer. */
  attempt(sessionId: string): string {
    const attemptId = this.#attempts.get(sessionId) ?? randomId();
    if (this.#inPage) this.#attempts.set(sessionId, attemptId);
    return attemptId;
  }

  set(sessionId: string, token: string): void {
    this.#attempts.delete(sessionId);
    this.#current.set(sessionId, token);
    if (!this.#inPage) this.#storage.setItem(this.#prefix + sessionId, token);
  }

  delete(sessionId: string): void {
    this.#attempts.delete(sessionId);
    this.#current.delete(sessionId);
    this.#storage.removeItem(this.#prefix + sessionId);
  }

  /** Tokens that were kept for another principal are dropped. Called once a gateway has said who is logged in. */
  belongTo(principal: string): void {
    const before = this.#principal ?? this.#storage.getItem(this.#principalKey) ?? principal;
    if (before !== principal) this.clear();
    this.#principal = principal;
    this.#storage.setItem(this.#principalKey, principal);
  }

  /** Drops them all; of what an earlier run left, those whose keys the storage tells. */
  clear(): void {
    this.#principal = undefined;
    this.#current.clear();
    this.#attempts.clear();
    this.#storage.removeItem(this.#principalKey);
    for (const key of this.#storage.keys()) if (key.startsWith(this.#prefix)) this.#storage.removeItem(key);
  }

  /** Leaves what is current to the next run. */
  close(): void {
    this.#unlisten();
    this.#putBack();
  }

  #putBack(): void {
    for (const sessionId of new Set([...this.#current.keys(), ...this.#attempts.keys()])) {
      const attemptId = this.#attempts.get(sessionId);
      const token = this.#current.get(sessionId) ?? '';
      const key = this.#prefix + sessionId;
      // Another client of the page has left its token there.
      if (token === '' && this.#storage.getItem(key) !== null) continue;
      this.#storage.setItem(key, attemptId === undefined ? token : `${token} ${attemptId}`);
    }
  }

  #takeOut(): void {
    for (const [sessionId, token] of this.#current) {
      this.#current.set(sessionId, this.#takeStored(sessionId) ?? token);
    }
    for (const [sessionId, attemptId] of this.#attempts) {
      const key = this.#prefix + sessionId;
      if (this.#storage.getItem(key) === ` ${attemptId}`) this.#storage.removeItem(key);
    }
  }

  /** A page that the browser kept was followed by another in the same tab, which has left its newer token to it. */
  #onAdded(key: string): void {
    const sessionId = key.slice(this.#prefix.length);
    if (!key.startsWith(this.#prefix) || !this.#current.has(sessionId)) return;
    const token = this.#takeStored(sessionId);
    if (token !== undefined) this.#current.set(sessionId, token);
  }

  #takeStored(sessionId: string): string | undefined {
    const stored = this.#storage.getItem(this.#prefix + sessionId) ?? '';
    if (this.#inPage) this.#storage.removeItem(this.#prefix + sessionId);
    const [token = '', attemptId] = stored.length > MAX_TOKEN_LENGTH ? [] : stored.split(' ');
    if (attemptId !== undefined) this.#attempts.set(sessionId, attemptId);
    else if (token !== '') this.#attempts.delete(sessionId);
    return token === '' ? undefined : token;
  }
}
