/** Where a login is kept on the client's side, and how a request shows it. */
import type { TokenStorage } from '../storage.js';

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

/** Without the cookie, which may be of another login. */
export function bearer(token: string): Credentials {
  return { credentials: 'omit', authorization: `Bearer ${token}` };
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

export const LOGIN_KEY = 'holdfast:login';
const LEFT_KEY = 'holdfast:left';

/**
 * In a browser the refresh token is in the gateway's cookie, and storage tells the tabs which login it is; elsewhere the
 * application keeps it.
 */
export class LoginKeeper {
  /** Whether it is in the cookie, which all tabs share. */
  readonly inCookie: boolean;
  readonly #store: RefreshTokenStore;
  readonly #storage: TokenStorage;

  constructor(refreshTokens: RefreshTokenStore | undefined, storage: TokenStorage) {
    this.inCookie = refreshTokens === undefined;
    this.#storage = storage;
    this.#store = refreshTokens ?? {
      get: () => storage.getItem(LOGIN_KEY) || undefined,
      set: (id) => (id === undefined ? storage.removeItem(LOGIN_KEY) : storage.setItem(LOGIN_KEY, id)),
    };
  }

  /**
   * What stands for the login that is kept now. It differs after another tab or process logged out, logged in or
   * refreshed; undefined when none is known of.
   */
  async mark(): Promise<string | undefined> {
    return this.#store.get();
  }

  /** The person left and the gateway has not heard of it, so that the cookie is still good: in all tabs and pages to come. */
  get left(): boolean {
    return this.inCookie && this.#storage.getItem(LEFT_KEY) !== null;
  }

  set left(left: boolean) {
    if (left && this.inCookie) this.#storage.setItem(LEFT_KEY, '1');
    else this.#storage.removeItem(LEFT_KEY);
  }

  /** The mark that `keep(answer)` leaves. */
  markOf(answer: LoginAnswer): string | undefined {
    return this.inCookie ? answer.login_id : answer.refresh_token;
  }

  async keep(answer: LoginAnswer): Promise<void> {
    await this.#store.set(this.markOf(answer));
  }

  /** @param why `refused`: other tabs hear that the login is over, not that the person left */
  async forget(why?: 'refused'): Promise<void> {
    if (why === undefined || !this.inCookie) await this.#store.set(undefined);
    else if ((await this.mark()) !== undefined) await this.#store.set('');
  }

  /** Undefined when there is nothing to show. */
  async credentials(): Promise<Credentials | undefined> {
    if (this.inCookie) return { credentials: 'include' };
    const token = await this.mark();
    return token === undefined ? undefined : bearer(token);
  }
}
