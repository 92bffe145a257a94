import { claimsOf } from '../client/login/access-token.js';
import { HoldfastError } from '../protocol/errors.js';
import { FakeCredential, type RenewableLogin } from './fake-credential.js';

export type AuthPath = 'exchange' | 'refresh' | 'ticket' | 'me' | 'logout' | 'upstream';

export interface AuthSettings {
  /** How long an access token, and a connection's credential, is good. */
  accessTokenMs: number;
  /** Of those who present a JWT of the application. */
  principal: string;
  /** Resolves when a request reaches the gateway. @throws HoldfastError where the script refuses it */
  received(path: AuthPath, signal: AbortSignal | null | undefined): Promise<void>;
  /** Closes the login's connections. */
  ended(login: FakeLogin, code: number): void;
}

const LOGGED_OUT = 4_002;
const MAX_TICKETS = 1_000;
const LIFETIME_MS = 90 * 86_400_000;

/** One login. All its refresh tokens stay good until it ends. */
class FakeLogin implements RenewableLogin {
  readonly id: string;
  readonly principal: string;
  readonly createdAtMs = Date.now();
  readonly #accessTokenMs: number;
  #serial = 0;
  ended = false;

  constructor(id: string, principal: string, accessTokenMs: number) {
    this.id = id;
    this.principal = principal;
    this.#accessTokenMs = accessTokenMs;
  }

  newAccessToken(): string {
    const iat = Math.floor(Date.now() / 1_000);
    const claims = { sub: this.principal, login_id: this.id, iat, exp: iat + this.#accessTokenMs / 1_000 };
    return `fake.${btoa(JSON.stringify({ ...claims, jti: ++this.#serial }))}.fake`;
  }

  tokens(inCookie: boolean) {
    return {
      login_id: this.id,
      principal: this.principal,
      access_token: this.newAccessToken(),
      expires_at: Date.now() + this.#accessTokenMs,
      max_expires_at: this.createdAtMs + LIFETIME_MS,
      ...(!inCookie && { refresh_token: `hfr1.${this.id}.${this.#serial}` }),
    };
  }

  view() {
    const { id, principal, createdAtMs } = this;
    const [lastSeenAt, expiresAt] = [Date.now(), createdAtMs + LIFETIME_MS];
    const times = {
      created_at: createdAtMs,
      last_seen_at: lastSeenAt,
      expires_at: expiresAt,
      max_expires_at: expiresAt,
    };
    return { login_id: id, principal, attributes: {}, rights: [], state: 'active', ...times };
  }
}

/** The gateway's `/v1/auth`, for `createLogin({ fetch })`: with the cookie of one browser, or with refresh tokens. */
export class FakeAuth {
  readonly #settings: AuthSettings;
  readonly #logins = new Map<string, FakeLogin>();
  readonly #tickets = new Map<string, FakeCredential>();
  #numbers = 0;
  /** The browser's: the login that it is of. */
  #cookie: string | undefined;

  /** @internal */
  constructor(settings: AuthSettings) {
    this.#settings = settings;
  }

  /** To be passed to `createLogin` and `createJwtLogin`, with any `url`. */
  readonly fetch: typeof globalThis.fetch = async (input, init) => {
    const path = /\/v1\/auth\/([a-z]+)$/.exec(typeof input === 'string' ? input : '')?.[1];
    try {
      if (path === undefined) throw new HoldfastError('not_found', 'there is no such route');
      await this.#settings.received(path as AuthPath, init?.signal);
      const answer = this.#answer(path as AuthPath, init);
      return answer === undefined ? new Response(null, { status: 204 }) : Response.json(answer);
    } catch (error) {
      if (!(error instanceof HoldfastError)) throw error;
      const { code, message: detail, retryable, retryAfterMs: retry_after_ms, status } = error;
      return Response.json({ type: 'about:blank', status, detail, code, retryable, retry_after_ms }, { status });
    }
  };

  /** What an application's backend does. @returns the login code, for `login.exchange()` */
  createLogin(principal = 'alice'): string {
    const login = new FakeLogin(`login_${++this.#numbers}`, principal, this.#settings.accessTokenMs);
    this.#logins.set(login.id, login);
    return `hfc_${login.id}`;
  }

  /** A ticket for one connection of a principal, for `createClient({ getTicket })`. */
  createTicket(principal = this.#settings.principal): string {
    return this.#newTicket(new FakeCredential(principal, this.#settings.accessTokenMs));
  }

  /** @internal Ends the logins of a principal, or all. @param code what their connections are closed with */
  endLogins(code: number, principal: string | undefined): void {
    for (const login of this.#logins.values()) {
      if (principal === undefined || principal === login.principal) this.#end(login, code);
    }
  }

  /** @internal The ticket is used. Undefined for one that is not good. */
  use(ticket: string): FakeCredential | undefined {
    const credential = this.#tickets.get(ticket);
    this.#tickets.delete(ticket);
    return credential?.login?.ended === true ? undefined : credential;
  }

  #answer(path: AuthPath, init: RequestInit | undefined): object | undefined {
    const inCookie = init?.credentials === 'include';
    if (path === 'exchange') return this.#exchange(init, inCookie);
    const bearer = new Headers(init?.headers).get('Authorization')?.replace('Bearer ', '');
    const login = this.#loginOf(bearer);
    if (login === undefined) {
      // A JWT of the application, which is good for a ticket alone.
      if (path === 'ticket' && bearer !== undefined) return { ticket: this.createTicket(), expires_at: Date.now() };
      throw new HoldfastError('unauthorized', 'present a credential');
    }
    if (login.ended) throw new HoldfastError('login_ended', 'the login is over');
    switch (path) {
      case 'refresh':
        return login.tokens(inCookie);
      case 'ticket': {
        const credential = new FakeCredential(login.principal, this.#settings.accessTokenMs, login);
        return { ticket: this.#newTicket(credential), expires_at: Date.now() };
      }
      case 'me':
        return login.view();
      case 'upstream':
        return { access_token: `upstream-${++this.#numbers}`, token_type: 'Bearer' };
      case 'logout':
        if (inCookie) this.#cookie = undefined;
        this.#end(login, LOGGED_OUT);
        return undefined;
    }
  }

  #exchange(init: RequestInit | undefined, inCookie: boolean): object {
    const text = typeof init?.body === 'string' ? init.body : '{}';
    const body = JSON.parse(text) as { login_code?: unknown };
    const login = this.#logins.get(String(body.login_code).replace(/^hfc_/, ''));
    if (login === undefined) throw new HoldfastError('invalid_login_code', 'the login code is wrong');
    if (inCookie) this.#cookie = login.id;
    return login.tokens(inCookie);
  }

  #loginOf(bearer: string | undefined): FakeLogin | undefined {
    const id = bearer === undefined ? this.#cookie : (/^hfr1\.([^.]+)/.exec(bearer)?.[1] ?? claimsOf(bearer).login_id);
    return this.#logins.get(id ?? '');
  }

  #newTicket(credential: FakeCredential): string {
    const ticket = `hft_${++this.#numbers}`;
    this.#tickets.set(ticket, credential);
    const [oldest] = this.#tickets.keys();
    if (this.#tickets.size > MAX_TICKETS && oldest !== undefined) this.#tickets.delete(oldest);
    return ticket;
  }

  #end(login: FakeLogin, code: number): void {
    if (login.ended) return;
    login.ended = true;
    this.#settings.ended(login, code);
  }
}
