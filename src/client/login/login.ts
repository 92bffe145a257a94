/** A person's login at the gateway, as a page or a program has it. */

import type { LoginView, UpstreamAccessToken } from '../../protocol/http.js';
import { onAbort } from '../abort.js';
import type { ConnectionLogin } from '../connection-login.js';
import type { ClientError } from '../errors.js';
import { localStorageOfPage, onStorage, onWake } from '../page.js';
import { safeStorage } from '../storage.js';
import { type AccessToken, claimsOf } from './access-token.js';
import { endingOf, nobody, superseded } from './ending.js';
import { type AuthRequest, ticketOf, unexpected } from './http.js';
import { type Credentials, LOGIN_KEY, type LoginAnswer, LoginKeeper } from './keeper.js';
import { alone } from './lock.js';
import type { LoginEvents, LoginOptions } from './options.js';
import { repaired } from './repaired.js';
import { LoginRequests } from './requests.js';
import { SingleFlight } from './single-flight.js';
import { LoginState } from './state.js';

/**
 * Keeps one login alive. Only the gateway and the person end it: no lost answer, outage or time-out does. Two calls at
 * once are one request, and tabs save each other some: the gateway gives all of them the same successor in any case.
 */
export class LoginClient implements ConnectionLogin {
  readonly #state = new LoginState(() => this.refresh());
  readonly #keeper: LoginKeeper;
  readonly #requests: LoginRequests;
  readonly #refreshing = new SingleFlight<AccessToken>();
  readonly #unlisten: (() => void)[];
  #exchanging: { code: string; done: Promise<AccessToken>; pending: boolean } | undefined;
  /** The last refresh: its answer would set the cookie, whatever has become of the login meanwhile. */
  #refreshSent: AbortController | undefined;
  /** A logout that the gateway has not confirmed, with what tells it whose. Nothing else is asked for meanwhile. */
  #leaving: { credentials: Credentials | undefined } | undefined;

  /** @internal Use `createLogin`. */
  constructor(options: LoginOptions) {
    const storage = safeStorage(options.storage ?? localStorageOfPage());
    this.#requests = new LoginRequests(options, storage);
    this.#keeper = new LoginKeeper(options.refreshTokens, storage);
    const onStored = (loginId: string | null) => {
      if (this.#keeper.inCookie) this.#onOtherTab(loginId);
    };
    this.#unlisten = [
      onStorage(LOGIN_KEY, onStored),
      onWake(() => {
        // A page in the back/forward cache heard nothing of what other tabs did.
        if (this.#state.loginId !== undefined) onStored(storage.getItem(LOGIN_KEY));
        this.#state.freshness.check();
      }),
    ];
  }

  /** The origin that requests go to. */
  get gateway(): string {
    return this.#requests.gateway;
  }

  /** @returns what takes the listener off again */
  on<E extends keyof LoginEvents>(event: E, listener: (value: LoginEvents[E]) => void): () => void {
    return this.#state.events.on(event, listener);
  }

  /**
   * Logs in with the code that the application's backend was given. The same code again is the same login.
   * @param gateway where the code is from, when it is not `url`: one of `gateways`; remembered in `storage`
   * @throws ClientError `invalid_login_code`, `unreachable`, `timeout`, …
   * @throws TypeError for a gateway that the options do not name
   */
  exchange(code: string, gateway?: string): Promise<AccessToken> {
    if (this.#exchanging?.code === code) return this.#exchanging.done;
    const origin = this.#requests.named(gateway);
    const epoch = this.#renounce();
    const done = this.#requests.retried(async (signal) => {
      const credentials = { credentials: this.#keeper.inCookie ? 'include' : 'omit' } as const;
      const request = { path: 'exchange', body: { login_code: code }, credentials } as const;
      const answer = (await this.#requests.send(request, signal, origin)) as LoginAnswer;
      if (epoch !== this.#state.epoch) {
        this.#requests.abandon(answer.access_token, signal, origin);
        throw nobody();
      }
      this.#requests.gateway = origin;
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
    return this.#refreshing.run(() => this.#asking((signal) => this.#refreshOnce(signal)));
  }

  /** The access token at hand, or a fresh one. @throws as `refresh` */
  async accessToken(): Promise<string> {
    return this.#state.accessToken ?? (await this.refresh()).accessToken;
  }

  /** A ticket for one connection. One request without retries: who connects has a backoff. @throws as `refresh` */
  async ticket(): Promise<string> {
    const ticket = () => this.#requests.once((signal) => this.#request('ticket', signal));
    return ticketOf(await repaired(ticket, () => this.refresh()));
  }

  /** @throws as `refresh` */
  async me(): Promise<LoginView> {
    return (await this.#asked('me')) as LoginView;
  }

  /**
   * An access token of the upstream provider, where the gateway may hand it to a page.
   * @throws as `refresh`; `upstream_reauth_required` when the person has to give consent anew, `not_found`, `forbidden`
   */
  async upstream(): Promise<UpstreamAccessToken> {
    return (await this.#asked('upstream')) as UpstreamAccessToken;
  }

  /**
   * Ends the login here at once, and at the gateway, which closes its connections.
   * @throws ClientError when the gateway could not be told, and whatever `refreshTokens` throws; call it again
   */
  async logout(): Promise<void> {
    const leaving = { credentials: this.#leaving?.credentials };
    const epoch = this.#renounce();
    this.#leaving = leaving;
    this.#keeper.left = true;
    this.#state.end();
    const kept = await this.#requests.once(() => this.#keeper.credentials());
    const credentials = (leaving.credentials = kept ?? leaving.credentials);
    if (epoch === this.#state.epoch) await this.#requests.once(() => this.#keeper.forget());
    if (credentials !== undefined) {
      await this.#requests
        .retried((signal) => this.#requests.send({ path: 'logout', credentials }, signal))
        .catch((error: unknown) => {
          // It had ended already.
          if (endingOf(error) === undefined) throw error;
        });
    }
    if (this.#leaving === leaving) this.#stay();
  }

  /** No logout is to be told of any more. */
  #stay(): void {
    this.#leaving = undefined;
    this.#keeper.left = false;
  }

  /** Ends timers and listeners, not the login. */
  close(): void {
    for (const unlisten of this.#unlisten) unlisten();
    this.#state.freshness.close();
    this.#requests.close();
  }

  /** @internal */
  onEnded(listener: () => void): () => void {
    return this.#state.events.on('left', listener);
  }

  /** @internal */
  offerRenewal(renew: () => void): () => void {
    return this.#state.freshness.offer(renew);
  }

  /** @internal A token that came over the connection; one of a login that has been left is dropped. */
  renewed(accessToken: string, expiresAt: number): void {
    const { login_id: loginId = '' } = claimsOf(accessToken);
    if (this.#state.over || this.#exchanging?.pending || (this.#state.loginId ?? loginId) !== loginId) return;
    this.#state.hold({ loginId, accessToken, expiresAt });
  }

  /**
   * Tries until it succeeds or cannot. Not beyond a logout that came after the call: what is sent then could log in
   * again whoever has just left.
   */
  #asking<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const epoch = this.#state.epoch;
    return this.#requests.retried(async (signal) => {
      // Before that there is nobody whom a request could be for.
      await this.#exchanging?.done.catch(() => {});
      if (epoch !== this.#state.epoch && this.#state.over) throw nobody();
      return work(signal);
    });
  }

  async #asked(path: AuthRequest['path']): Promise<object> {
    const ask = () => this.#asking((signal) => this.#request(path, signal));
    return repaired(ask, () => this.refresh());
  }

  /** A logout or an exchange calls it off, because its answer would set the cookie. */
  async #refreshOnce(signal: AbortSignal): Promise<AccessToken> {
    const sent = new AbortController();
    const unlisten = onAbort(signal, (reason) => sent.abort(reason));
    this.#refreshSent = sent;
    const refresh = async (): Promise<AccessToken> => {
      const epoch = this.#state.epoch;
      const before = await this.#keeper.mark();
      const answer = (await this.#request('refresh', sent.signal)) as LoginAnswer;
      const kept = await this.#keeper.mark();
      // Another tab that refreshed at the same time was given the same successor.
      if (epoch !== this.#state.epoch || (kept !== before && kept !== this.#keeper.markOf(answer))) {
        throw await this.#superseded();
      }
      return this.#take(answer);
    };
    try {
      // Only tabs share what a refresh replaces.
      return await (this.#keeper.inCookie ? alone(refresh, sent.signal) : refresh());
    } finally {
      unlisten();
    }
  }

  /** With what is kept now. An answer that ends the login counts only while that is still kept. */
  async #request(path: AuthRequest['path'], signal: AbortSignal): Promise<object> {
    await this.#exchanging?.done.catch(() => {});
    const epoch = this.#state.epoch;
    const mark = await this.#keeper.mark();
    const credentials = await this.#keeper.credentials();
    try {
      if (credentials === undefined || this.#leaving !== undefined || this.#keeper.left) throw nobody();
      return await this.#requests.send({ path, credentials }, signal);
    } catch (error) {
      const ending = endingOf(error);
      if (ending === undefined) throw error;
      if (epoch !== this.#state.epoch || mark !== (await this.#keeper.mark())) throw await this.#superseded();
      this.#renounce();
      await this.#keeper.forget('refused');
      this.#state.end(ending.code);
      throw ending;
    }
  }

  async #superseded(): Promise<ClientError> {
    const isLoggedOut = (await this.#keeper.mark()) === undefined && !this.#exchanging?.pending;
    if (isLoggedOut) return nobody();
    return superseded();
  }

  async #take(answer: LoginAnswer): Promise<AccessToken> {
    const { login_id: loginId, access_token: accessToken, expires_at: expiresAt } = answer;
    const isWhole = typeof loginId === 'string' && typeof accessToken === 'string';
    if (!isWhole || this.#keeper.markOf(answer) === undefined) {
      throw unexpected('login');
    }
    const epoch = this.#state.epoch;
    await this.#keeper.keep(answer);
    // The store may be slow, and the logout that came meanwhile was there first.
    if (epoch !== this.#state.epoch) {
      if ((await this.#keeper.mark()) === this.#keeper.markOf(answer)) await this.#keeper.forget();
      throw nobody();
    }
    this.#stay();
    return this.#state.hold({ loginId, accessToken, expiresAt });
  }

  /** Whatever is under way belongs to the past. @returns the new epoch */
  #renounce(loginId?: string): number {
    this.#refreshing.leave();
    this.#refreshSent?.abort(superseded());
    this.#exchanging = undefined;
    return this.#state.renounce(loginId);
  }

  /** @param loginId empty where the gateway had ended it, null where the person did */
  #onOtherTab(loginId: string | null): void {
    if (loginId) {
      if (loginId === this.#state.loginId) return;
      this.#renounce(loginId);
      this.#leaving = undefined;
    } else if (!this.#exchanging?.pending) {
      // What ended there is not what is just beginning here.
      this.#renounce();
      this.#state.end(loginId === null ? undefined : 'login_ended');
    }
  }
}

/**
 * The login of a person at the gateway.
 * @throws TypeError without a gateway's address outside of a page
 */
export function createLogin(options: LoginOptions = {}): LoginClient {
  return new LoginClient(options);
}
