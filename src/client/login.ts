/** A person's login at the gateway, as a page or a program has it. */

import type { LoginView, UpstreamAccessToken } from '../protocol/http.js';
import { claimsOf, HeldToken } from './access-token.js';
import { bounded } from './bounded.js';
import { type ConnectionLogin, ticketOf } from './connection-login.js';
import { Emitter } from './emitter.js';
import { ClientError } from './errors.js';
import { gatewayOrigin } from './gateway-origin.js';
import { endsLogin } from './login-end.js';
import { type AuthRequest, type Fetch, sendAuthRequest } from './login-http.js';
import type { AccessToken } from './login-info.js';
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
  #exchanging: { code: string; done: Promise<AccessToken>; pending: boolean } | undefined;
  /** The refresh that is on its way: its answer would set the cookie, whatever has become of the login meanwhile. */
  #refreshSent: AbortController | undefined;
  #current: HeldToken | undefined;
  /** The login that this page, or another tab, is known to have. */
  #loginId: string | undefined;
  /** Rises when this page itself logs in or out, which is news to whatever is under way. */
  #epoch = 0;
  /** `ended` was told of, and nobody has logged in since. */
  #over = false;
  /** A logout that the gateway has not confirmed, with what tells it whose. Nothing else is asked for meanwhile. */
  #leaving: { credentials: Credentials | undefined } | undefined;

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
    const named = gateway === undefined ? null : new URL(gateway).origin;
    const origin = gatewayOrigin(this.#url, named, originOfPage());
    const epoch = this.#renounce();
    const done = this.#retrying(async (signal) => {
      const credentials = { credentials: this.#keeper.cookies };
      const request = { method: 'POST', path: 'exchange', body: { login_code: code }, credentials } as const;
      const answer = (await this.#send(request, signal, origin)) as LoginAnswer;
      if (epoch !== this.#epoch) {
        this.#abandon(answer, signal, origin);
        throw new ClientError('no_login', 'a logout or another login came meanwhile');
      }
      if (named === null) this.#storage.removeItem(GATEWAY_KEY);
      else this.#storage.setItem(GATEWAY_KEY, named);
      return this.#take(answer);
    });
    const exchanging = { code, done, pending: true };
    this.#exchanging = exchanging;
    done.then(
      () => (exchanging.pending = false),
      () => {
        if (this.#exchanging === exchanging) this.#exchanging = undefined;
      },
    );
    return done;
  }

  /**
   * A fresh access token, through a refresh.
   * @throws ClientError `no_login`, `login_ended`, `refresh_token_reused`, `invalid_refresh_token`: log in again. Others,
   * such as `store_unavailable` and `unreachable`, say nothing about the login.
   */
  refresh(): Promise<AccessToken> {
    return this.#refreshing.run(() =>
      this.#asking(async (signal) => {
        const epoch = this.#epoch;
        const before = await this.#keeper.mark();
        const answer = (await this.#refreshRequest(signal)) as LoginAnswer;
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
    if (this.#current?.isUsable(Date.now())) return this.#current.token.accessToken;
    return (await this.refresh()).accessToken;
  }

  /** A ticket for one connection. One request without retries: who connects has a backoff. @throws as `refresh` */
  async ticket(): Promise<string> {
    const work = (signal: AbortSignal) => this.#request('POST', 'ticket', signal);
    return ticketOf(await bounded(work, this.#limits.requestTimeoutMs, this.#closed.signal));
  }

  /** @throws as `refresh` */
  async me(): Promise<LoginView> {
    return (await this.#asking((signal) => this.#request('GET', 'me', signal))) as LoginView;
  }

  /**
   * An access token of the upstream provider, where the gateway may hand it to a page.
   * @throws as `refresh`; `upstream_reauth_required` when the person has to give consent anew, `not_found`, `forbidden`
   */
  async upstream(): Promise<UpstreamAccessToken> {
    return (await this.#asking((signal) => this.#request('POST', 'upstream', signal))) as UpstreamAccessToken;
  }

  /**
   * Ends the login here at once, and at the gateway, which closes its connections.
   * @throws ClientError when the gateway could not be told, and whatever `refreshTokens` throws; call it again
   */
  async logout(): Promise<void> {
    const leaving = { credentials: this.#leaving?.credentials };
    const epoch = this.#renounce();
    this.#leaving = leaving;
    this.#end('logout');
    const { requestTimeoutMs } = this.#limits;
    const kept = await bounded(() => this.#keeper.credentials(), requestTimeoutMs, this.#closed.signal);
    const credentials = (leaving.credentials = kept ?? leaving.credentials);
    if (epoch === this.#epoch) await bounded(() => this.#keeper.forget(), requestTimeoutMs, this.#closed.signal);
    if (credentials !== undefined) {
      await this.#retrying((signal) => this.#send({ method: 'POST', path: 'logout', credentials }, signal)).catch(
        (error: unknown) => {
          // It had ended already.
          if (!endsLogin(error) && !isUnauthorized(error)) throw error;
        },
      );
    }
    if (this.#leaving === leaving) this.#leaving = undefined;
  }

  /** Ends timers and listeners, not the login. */
  close(): void {
    this.#unlisten();
    this.#closed.abort();
  }

  /** @internal A token that came over the connection; one of a login that has been left is dropped. */
  renewed(accessToken: string, expiresAt: number): void {
    const { login_id: loginId = '' } = claimsOf(accessToken);
    if (this.#over || this.#exchanging?.pending || (this.#loginId ?? loginId) !== loginId) return;
    this.#hold({ loginId, accessToken, expiresAt });
  }

  /**
   * Tries until it succeeds or cannot. Not beyond a logout that came after the call: what is sent then could log in
   * again whoever has just left.
   */
  #asking<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const epoch = this.#epoch;
    return this.#retrying(async (signal) => {
      await this.#exchanged();
      if (epoch !== this.#epoch && this.#over) throw new ClientError('no_login', 'logged out meanwhile');
      return work(signal);
    });
  }

  /** Before that there is nobody whom a request could be for. */
  async #exchanged(): Promise<void> {
    await this.#exchanging?.done.catch(() => {});
  }

  async #refreshRequest(signal: AbortSignal): Promise<object> {
    const sent = new AbortController();
    const abort = () => sent.abort(signal.reason);
    signal.addEventListener('abort', abort);
    this.#refreshSent = sent;
    try {
      return await this.#request('POST', 'refresh', sent.signal);
    } finally {
      signal.removeEventListener('abort', abort);
      if (this.#refreshSent === sent) this.#refreshSent = undefined;
    }
  }

  /** Ends a login that came too late for anybody to have it. */
  #abandon({ access_token: token }: LoginAnswer, signal: AbortSignal, origin: string): void {
    const credentials = { credentials: 'omit', authorization: `Bearer ${token}` } as const;
    this.#send({ method: 'POST', path: 'logout', credentials }, signal, origin).catch(() => {});
  }

  /** With what is kept now. An answer that ends the login counts only while that is still kept. */
  async #request(method: 'GET' | 'POST', path: AuthRequest['path'], signal: AbortSignal): Promise<object> {
    await this.#exchanged();
    const epoch = this.#epoch;
    const mark = await this.#keeper.mark();
    const credentials = await this.#keeper.credentials();
    try {
      if (credentials === undefined || this.#leaving !== undefined)
        throw new ClientError('no_login', 'nobody is logged in');
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
    const isLoggedOut = (await this.#keeper.mark()) === undefined && !this.#exchanging?.pending;
    if (isLoggedOut) return new ClientError('no_login', 'logged out meanwhile');
    return new ClientError('superseded', 'another tab changed the login meanwhile');
  }

  #send(request: AuthRequest, signal: AbortSignal, origin = this.gateway): Promise<object> {
    return sendAuthRequest(this.#fetch, origin, request, signal);
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
    this.#leaving = undefined;
    return this.#hold({ loginId, accessToken, expiresAt });
  }

  #hold(token: AccessToken): AccessToken {
    this.#current = new HeldToken(token, Date.now());
    this.#loginId = token.loginId;
    this.#events.emit('renewed', token);
    return token;
  }

  /** Whatever is under way belongs to the past. @returns the new epoch */
  #renounce(): number {
    this.#refreshing.leave();
    this.#refreshSent?.abort();
    this.#exchanging = undefined;
    this.#current = undefined;
    this.#loginId = undefined;
    this.#epoch++;
    return this.#epoch;
  }

  #end(reason: string): void {
    if (this.#over) return;
    this.#over = true;
    this.#events.emit('ended', { reason });
  }

  #onOtherTab(loginId: string | null): void {
    if (loginId === null) {
      // What ended there is not what is just beginning here.
      if (this.#exchanging?.pending) return;
      this.#renounce();
      this.#end('logout');
    } else if (loginId !== this.#loginId) {
      this.#renounce();
      this.#loginId = loginId;
      this.#over = false;
      this.#leaving = undefined;
    }
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
