/** A person's login at the gateway, as a page or a program has it. */
import { claimsOf, usableUntilMs } from './access-token.js';
import { bounded } from './bounded.js';
import { type ConnectionLogin, ticketOf } from './connection-login.js';
import { Emitter } from './emitter.js';
import { ClientError } from './errors.js';
import { gatewayOrigin } from './gateway-origin.js';
import { endsLogin } from './login-end.js';
import { type AuthRequest, type Fetch, sendAuthRequest } from './login-http.js';
import type { AccessToken, LoginInfo, UpstreamAccessToken } from './login-info.js';
import {
  CookieKeeper,
  type Credentials,
  LOGIN_KEY,
  type LoginAnswer,
  type LoginKeeper,
  type RefreshTokenStore,
  safeStorage,
  TokenKeeper,
} from './login-keeper.js';
import { localStorageOfPage, onStorage, originOfPage } from './page.js';
import { type RetryLimits, retried } from './retried.js';
import { SingleFlight } from './single-flight.js';
import type { TokenStorage } from './tokens.js';

export interface LoginOptions {
  /** The gateway, such as `https://gateway.example`. In a page the default is its own origin, through `authProxy`. */
  url?: string;
  fetch?: Fetch;
  /** Where refresh tokens are kept outside of browsers. Without it the login is in the gateway's cookie. */
  refreshTokens?: RefreshTokenStore;
  /** What all tabs of a page share; holds no secret. Default: `localStorage` in a page, else memory. */
  storage?: TokenStorage;
  /** For one request. Default 10 000 ms. */
  requestTimeoutMs?: number;
  /** For a call with its retries. Default 30 000 ms. */
  operationTimeoutMs?: number;
}

export interface LoginEvents {
  /** A fresh access token, by HTTP or over the connection. */
  renewed: AccessToken;
  /** Nobody is logged in any more. `logout`: by this page or another tab; else the gateway's error code. */
  ended: { reason: string };
}

/** An access token with less than this left is not handed out: a request takes time. */
const MARGIN_MS = 10_000;
const GATEWAY_KEY = 'holdfast:gateway';

/**
 * Keeps one login alive. Only the gateway ends it: no lost answer, outage or time-out does. Two calls at once are one
 * request, and tabs need no lock among them, because the gateway gives all of them the same successor.
 */
export class LoginClient implements ConnectionLogin {
  readonly #events = new Emitter<LoginEvents>();
  readonly #fetch: Fetch;
  readonly #url: string | undefined;
  readonly #storage: TokenStorage;
  readonly #keeper: LoginKeeper;
  readonly #limits: RetryLimits;
  readonly #refreshing = new SingleFlight<AccessToken>();
  readonly #closed = new AbortController();
  readonly #unlisten: () => void;
  #exchanging: { code: string; done: Promise<AccessToken> } | undefined;
  #current: (AccessToken & { usableUntilMs: number }) | undefined;
  /** Rises when this page itself logs in or out, which is news to whatever is under way. */
  #epoch = 0;
  /** `ended` was told of, and nobody has logged in since. */
  #over = false;
  /** Of a logout that the gateway has not confirmed. */
  #leaving: Credentials | undefined;

  /** @internal Use `createLogin`. */
  constructor(options: LoginOptions) {
    const { fetch = globalThis.fetch.bind(globalThis), refreshTokens, storage = localStorageOfPage() } = options;
    this.#fetch = fetch;
    this.#url = options.url;
    this.#storage = safeStorage(storage);
    this.#keeper = refreshTokens === undefined ? new CookieKeeper(this.#storage) : new TokenKeeper(refreshTokens);
    const { requestTimeoutMs = 10_000, operationTimeoutMs = 30_000 } = options;
    this.#limits = { requestTimeoutMs, operationTimeoutMs };
    this.#unlisten = refreshTokens === undefined ? onStorage(LOGIN_KEY, (id) => this.#onOtherTab(id)) : () => {};
    void this.gateway;
  }

  /** The origin that requests go to. */
  get gateway(): string {
    return gatewayOrigin(this.#url, this.#storage.getItem(GATEWAY_KEY), originOfPage());
  }

  /** @returns what takes the listener off again */
  on<E extends keyof LoginEvents>(event: E, listener: (value: LoginEvents[E]) => void): () => void {
    return this.#events.on(event, listener);
  }

  /**
   * Logs in with the code that the application's backend was given. The same code again is the same login.
   * @param gateway where the code is from, when it is not `url`; remembered in `storage`
   * @throws ClientError `invalid_login_code`, `unreachable`, `timeout`, …
   */
  exchange(code: string, gateway?: string): Promise<AccessToken> {
    if (this.#exchanging?.code === code) return this.#exchanging.done;
    if (gateway !== undefined) this.#storage.setItem(GATEWAY_KEY, new URL(gateway).origin);
    const epoch = this.#renounce();
    const done = this.#retrying(async (signal) => {
      const credentials = { credentials: this.#keeper.cookies };
      const body = { login_code: code };
      const answer = await this.#send({ method: 'POST', path: 'exchange', body, credentials }, signal);
      if (epoch !== this.#epoch) throw new ClientError('no_login', 'a logout or another login came meanwhile');
      return this.#take(answer as LoginAnswer);
    });
    this.#exchanging = { code, done };
    done.catch(() => {
      if (this.#exchanging?.done === done) this.#exchanging = undefined;
    });
    return done;
  }

  /**
   * A fresh access token, through a refresh.
   * @throws ClientError `no_login`, `login_ended`, `refresh_token_reused`, `invalid_refresh_token`: log in again. Others,
   * such as `store_unavailable` and `unreachable`, say nothing about the login.
   */
  refresh(): Promise<AccessToken> {
    return this.#refreshing.run(() =>
      this.#retrying(async (signal) => {
        const epoch = this.#epoch;
        const before = await this.#keeper.mark();
        const answer = (await this.#request('POST', 'refresh', signal)) as LoginAnswer;
        const kept = await this.#keeper.mark();
        // Another tab that refreshed at the same time was given the same successor.
        if (epoch !== this.#epoch || (kept !== before && kept !== this.#keeper.markOf(answer))) {
          throw await this.#superseded();
        }
        return this.#take(answer);
      }),
    );
  }

  /** The access token at hand, or a fresh one. @throws as `refresh` */
  async accessToken(): Promise<string> {
    const current = this.#current;
    if (current !== undefined && Date.now() < current.usableUntilMs - MARGIN_MS) return current.accessToken;
    return (await this.refresh()).accessToken;
  }

  /** A ticket for one connection. One request without retries: who connects has a backoff. @throws as `refresh` */
  async ticket(): Promise<string> {
    const work = (signal: AbortSignal) => this.#request('POST', 'ticket', signal);
    return ticketOf(await bounded(work, this.#limits.requestTimeoutMs, this.#closed.signal));
  }

  /** @throws as `refresh` */
  async me(): Promise<LoginInfo> {
    return (await this.#retrying((signal) => this.#request('GET', 'me', signal))) as LoginInfo;
  }

  /**
   * An access token of the upstream provider, where the gateway may hand it to a page.
   * @throws as `refresh`; `upstream_reauth_required` when the person has to give consent anew, `not_found`, `forbidden`
   */
  async upstream(): Promise<UpstreamAccessToken> {
    return (await this.#retrying((signal) => this.#request('POST', 'upstream', signal))) as UpstreamAccessToken;
  }

  /**
   * Ends the login here at once, and at the gateway, which closes its connections.
   * @throws ClientError when the gateway could not be told; call it again
   */
  async logout(): Promise<void> {
    const credentials = (await this.#keeper.credentials()) ?? this.#leaving;
    this.#renounce();
    await this.#keeper.forget();
    this.#end('logout');
    if (credentials === undefined) return;
    this.#leaving = credentials;
    await this.#retrying((signal) => this.#send({ method: 'POST', path: 'logout', credentials }, signal)).catch(
      (error: unknown) => {
        // It had ended already.
        if (!endsLogin(error) && !isUnauthorized(error)) throw error;
      },
    );
    this.#leaving = undefined;
  }

  /** Ends timers and listeners, not the login. */
  close(): void {
    this.#unlisten();
    this.#closed.abort();
  }

  /** @internal A token that came over the connection; one of a login that has been left is dropped. */
  renewed(accessToken: string, expiresAt: number): void {
    const { login_id: loginId = '' } = claimsOf(accessToken);
    if (this.#over || (this.#current !== undefined && this.#current.loginId !== loginId)) return;
    this.#hold({ loginId, accessToken, expiresAt });
  }

  /** With what is kept now. An answer that ends the login counts only while that is still kept. */
  async #request(method: 'GET' | 'POST', path: AuthRequest['path'], signal: AbortSignal): Promise<object> {
    const epoch = this.#epoch;
    const mark = await this.#keeper.mark();
    const credentials = await this.#keeper.credentials();
    try {
      if (credentials === undefined) throw new ClientError('no_login', 'nobody is logged in');
      return await this.#send({ method, path, credentials }, signal);
    } catch (error) {
      const ending = isUnauthorized(error) ? new ClientError('no_login', 'nobody is logged in') : error;
      if (!endsLogin(ending)) throw error;
      if (epoch !== this.#epoch || mark !== (await this.#keeper.mark())) throw await this.#superseded();
      this.#renounce();
      await this.#keeper.forget();
      this.#end(ending.code);
      throw ending;
    }
  }

  async #superseded(): Promise<ClientError> {
    if ((await this.#keeper.mark()) === undefined) return new ClientError('no_login', 'logged out meanwhile');
    return new ClientError('superseded', 'another tab changed the login meanwhile');
  }

  #send(request: AuthRequest, signal: AbortSignal): Promise<object> {
    return sendAuthRequest(this.#fetch, this.gateway, request, signal);
  }

  #retrying<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    return retried(work, this.#limits, this.#closed.signal);
  }

  async #take(answer: LoginAnswer): Promise<AccessToken> {
    const { login_id: loginId, access_token: accessToken, expires_at: expiresAt } = answer;
    const isWhole = typeof loginId === 'string' && typeof accessToken === 'string';
    if (!isWhole || this.#keeper.markOf(answer) === undefined) {
      throw new ClientError('unexpected_answer', 'the answer lacks a token');
    }
    const epoch = this.#epoch;
    await this.#keeper.keep(answer);
    // The store may be slow, and the logout that came meanwhile was there first.
    if (epoch !== this.#epoch) {
      if ((await this.#keeper.mark()) === this.#keeper.markOf(answer)) await this.#keeper.forget();
      throw new ClientError('no_login', 'logged out meanwhile');
    }
    this.#over = false;
    return this.#hold({ loginId, accessToken, expiresAt });
  }

  #hold(token: AccessToken): AccessToken {
    this.#current = { ...token, usableUntilMs: usableUntilMs(token.accessToken, token.expiresAt, Date.now()) };
    this.#events.emit('renewed', token);
    return token;
  }

  /** Whatever is under way belongs to the past. @returns the new epoch */
  #renounce(): number {
    this.#refreshing.leave();
    this.#exchanging = undefined;
    this.#current = undefined;
    this.#epoch++;
    return this.#epoch;
  }

  #end(reason: string): void {
    if (this.#over) return;
    this.#over = true;
    this.#events.emit('ended', { reason });
  }

  #onOtherTab(loginId: string | null): void {
    if (loginId !== null && loginId === this.#current?.loginId) return;
    this.#renounce();
    if (loginId === null) this.#end('logout');
    else this.#over = false;
  }
}

function isUnauthorized(error: unknown): boolean {
  return error instanceof ClientError && error.code === 'unauthorized';
}

/**
 * The login of a person at the gateway.
 * @throws TypeError without a gateway's address outside of a page
 */
export function createLogin(options: LoginOptions = {}): LoginClient {
  return new LoginClient(options);
}
