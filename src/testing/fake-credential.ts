import { CLOSE_CODES } from '../protocol/close-codes.js';
import { HoldfastError } from '../protocol/errors.js';
import type { FakeConnection } from './fake-connection.js';
import { later } from './later.js';

const MIN_NOTICE_MS = 10_000;
const MAX_NOTICE_MS = 60_000;
/** How long a connection stays whose credential was not renewed in time. */
const RENEWAL_MARGIN_MS = 25_000;

/** A login as a credential sees it. */
export interface RenewableLogin {
  readonly ended: boolean;
  newAccessToken(): string;
}

/** What a connection was opened with: ends, is announced to end before, and can be renewed. */
export class FakeCredential {
  readonly principal: string;
  /** Absent for a JWT, or a ticket for one. */
  readonly login: RenewableLogin | undefined;
  readonly #lifetimeMs: number;
  #connection: FakeConnection | undefined;
  #callOff: (() => void)[] = [];

  constructor(principal: string, lifetimeMs: number, login?: RenewableLogin) {
    this.principal = principal;
    this.#lifetimeMs = lifetimeMs;
    this.login = login;
  }

  /** @returns when it ends, ms since 1970 */
  begin(connection: FakeConnection): number {
    this.#connection = connection;
    return this.#period();
  }

  /** @throws HoldfastError `login_ended`, `invalid_field` for a JWT that is missing */
  renew(accessToken: string | undefined): { expires_at: number; access_token?: string } {
    if (this.login?.ended === true) {
      this.#connection?.close(CLOSE_CODES.login_ended);
      throw new HoldfastError('login_ended', 'the login is over');
    }
    if (this.login === undefined && accessToken === undefined) {
      const message = 'access_token is required: this node cannot renew a JWT of the application';
      throw new HoldfastError('invalid_field', message, { field: 'access_token' });
    }
    return {
      expires_at: this.#period(),
      ...(this.login !== undefined && { access_token: this.login.newAccessToken() }),
    };
  }

  /** Calls the timers off. */
  end(): void {
    for (const callOff of this.#callOff) callOff();
  }

  #period(): number {
    this.end();
    const lifetimeMs = this.#lifetimeMs;
    const expiresAt = Date.now() + lifetimeMs;
    const noticeMs = Math.max(MIN_NOTICE_MS, Math.min(MAX_NOTICE_MS, lifetimeMs / 3));
    const announce = () => this.#connection?.send({ type: 'login_expiring', expires_at: expiresAt });
    this.#callOff = [
      later(lifetimeMs - Math.min(noticeMs, lifetimeMs / 2), announce),
      later(lifetimeMs + RENEWAL_MARGIN_MS, () => this.#connection?.close(CLOSE_CODES.login_expired)),
    ];
    return expiresAt;
  }
}
