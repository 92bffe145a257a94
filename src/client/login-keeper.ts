/** Where a login is kept on the client's side, and how a request shows it. */
import type { TokenStorage } from './tokens.js';

/** Keeps one refresh token outside of browsers: a key chain, a file that only its user can read. */
export interface RefreshTokenStore {
  get(): string | undefined | Promise<string | undefined>;
  /** Without a token: forgets it. */
  set(token: string | undefined): void | Promise<void>;
}

/** The parts of a request that carry the credential. */
export interface Credentials {
  credentials: 'include' | 'omit';
  authorization?: string;
}

/** What the gateway answers to an exchange and to a refresh. */
export interface LoginAnswer {
  login_id: string;
  principal: string;
  access_token: string;
  expires_at: number;
  max_expires_at: number;
  /** Not to browsers: theirs is in a cookie that no script can read. */
  refresh_token?: string;
}

export interface LoginKeeper {
  /** Whether the browser's cookies go with a request. */
  readonly cookies: 'include' | 'omit';
  /**
   * What stands for the login that is kept now. It differs after another tab or process logged out, logged in or
   * refreshed; undefined when none is known of.
   */
  mark(): Promise<string | undefined>;
  /** The mark that `keep(answer)` leaves. */
  markOf(answer: LoginAnswer): string | undefined;
  keep(answer: LoginAnswer): Promise<void>;
  forget(): Promise<void>;
  /** Undefined when there is nothing to show. */
  credentials(): Promise<Credentials | undefined>;
}

export const LOGIN_KEY = 'holdfast:login';

/** In a browser: the refresh token is in the gateway's cookie, and storage tells the tabs only which login it is. */
export class CookieKeeper implements LoginKeeper {
  readonly cookies = 'include';
  readonly #storage: TokenStorage;

  constructor(storage: TokenStorage) {
    this.#storage = storage;
  }

  async mark(): Promise<string | undefined> {
    return this.#storage.getItem(LOGIN_KEY) ?? undefined;
  }

  markOf(answer: LoginAnswer): string {
    return answer.login_id;
  }

  async keep(answer: LoginAnswer): Promise<void> {
    this.#storage.setItem(LOGIN_KEY, answer.login_id);
  }

  async forget(): Promise<void> {
    this.#storage.removeItem(LOGIN_KEY);
  }

  async credentials(): Promise<Credentials> {
    return { credentials: this.cookies };
  }
}

/** Elsewhere: the application keeps the refresh token. */
export class TokenKeeper implements LoginKeeper {
  readonly cookies = 'omit';
  readonly #store: RefreshTokenStore;

  constructor(store: RefreshTokenStore) {
    this.#store = store;
  }

  async mark(): Promise<string | undefined> {
    return this.#store.get();
  }

  markOf(answer: LoginAnswer): string | undefined {
    return answer.refresh_token;
  }

  async keep(answer: LoginAnswer): Promise<void> {
    await this.#store.set(answer.refresh_token);
  }

  async forget(): Promise<void> {
    await this.#store.set(undefined);
  }

  async credentials(): Promise<Credentials | undefined> {
    const token = await this.#store.get();
    return token === undefined ? undefined : { credentials: this.cookies, authorization: `Bearer ${token}` };
  }
}

/** Web Storage that cannot fail: where it is full, forbidden or missing, memory stands in for it. */
export function safeStorage(storage: TokenStorage | undefined): TokenStorage {
  const memory = new Map<string, string>();
  const attempt = <T>(use: (storage: TokenStorage) => T): T | undefined => {
    try {
      return storage === undefined ? undefined : use(storage);
    } catch {
      return undefined;
    }
  };
  return {
    getItem: (key) => {
      // Null means that another tab took it out; undefined, that the storage cannot say.
      const stored = attempt((storage) => storage.getItem(key));
      return (stored === undefined ? memory.get(key) : stored) ?? null;
    },
    setItem: (key, value) => {
      memory.set(key, value);
      attempt((storage) => storage.setItem(key, value));
    },
    removeItem: (key) => {
      memory.delete(key);
      attempt((storage) => storage.removeItem(key));
    },
  };
}
