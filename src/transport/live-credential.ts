import type { Principal } from '../login/api.js';
import { principalHandle } from '../login/handles.js';
import type { Registration } from '../login/live-logins.js';
import { HoldfastError } from '../protocol/errors.js';
import type { SessionRights } from '../session/rights.js';
import type { AuthenticationOptions, CredentialOptions } from './authenticate.js';
import { rightsClaim } from './rights-claim.js';

const MIN_NOTICE_MS = 10_000;
const MAX_NOTICE_MS = 60_000;

/** What a renewal gave. `accessToken`: where the connection belongs to a login. */
export interface Renewal {
  rights: SessionRights;
  accessToken?: string;
}

/** How the credential of an open connection stands. */
export interface Look {
  verdict: 'good' | 'expiring' | 'expired';
  /** In how many ms to look again. */
  nextMs: number;
}

/** The credential of one connection: when it ends, when that is announced, and how it is renewed. */
export class LiveCredential {
  readonly registration: Registration;
  readonly login: Principal['login'];
  readonly #principal: Principal;
  readonly #options: CredentialOptions;
  readonly #rightsFor: AuthenticationOptions['rightsFor'];
  #expiresAtMs = 0;
  /** Infinity once it was announced. */
  #announceAtMs = 0;

  /** Registers it. Whatever is read of its login from now on cannot miss a revocation. */
  constructor(principal: Principal, options: CredentialOptions, rightsFor: AuthenticationOptions['rightsFor']) {
    const { login, issuedAtMs } = principal;
    this.login = login;
    this.#principal = principal;
    this.#options = options;
    this.#rightsFor = rightsFor;
    this.registration = options.live.register(
      login ?? { principalHandle: principalHandle(principal.principal), issuedAtMs },
    );
  }

  /** When the connection ends unless it is renewed, ms since 1970. */
  get expiresAtMs(): number {
    return this.#expiresAtMs;
  }

  /**
   * Reads the login. One that is over ends the registration.
   * @throws HoldfastError `invalid_credential`, `store_unavailable`; then it is registered no longer
   */
  async enter(nowMs: number): Promise<SessionRights> {
    const { logins, accessTokenTtlMs } = this.#options;
    try {
      if (this.login === undefined) {
        await this.#checkMark(this.#principal.issuedAtMs);
        this.#period(nowMs, this.#principal.expiresAtMs);
        return this.#rights(this.#principal.rights);
      }
      const standing = await logins.login(this.login.handle);
      this.registration.learn(standing);
      this.#period(nowMs, nowMs + accessTokenTtlMs);
      return this.#rights(standing.ended === undefined ? standing.rights : undefined);
    } catch (error) {
      this.registration.remove();
      throw error;
    }
  }

  /**
   * @param accessToken the new JWT; of a login optional
   * @throws HoldfastError `login_ended` (the connection is closed by then), `invalid_field`, `principal_mismatch`,
   * `invalid_credential`, `store_unavailable`
   */
  async renew(accessToken: string | undefined, nowMs: number): Promise<Renewal> {
    const presented = accessToken === undefined ? undefined : await this.#verified(accessToken);
    if (this.login !== undefined) return this.#renewLogin(this.login.handle, nowMs);
    if (presented === undefined) {
      const message = 'access_token is required: this node cannot renew a JWT of the application';
      throw new HoldfastError('invalid_field', message, { field: 'access_token' });
    }
    if (presented.expiresAtMs <= this.#expiresAtMs) {
      const message = 'access_token must end later than the one that this connection has';
      throw new HoldfastError('invalid_field', message, { field: 'access_token' });
    }
    const rights = this.#rights(presented.rights);
    await this.#checkMark(presented.issuedAtMs);
    this.registration.issuedAtMs = presented.issuedAtMs;
    this.#period(nowMs, presented.expiresAtMs);
    return { rights };
  }

  /** Says `expiring` once for each period. */
  look(nowMs: number, marginMs: number): Look {
    const endsAtMs = this.#expiresAtMs + marginMs;
    if (nowMs >= endsAtMs) return { verdict: 'expired', nextMs: 0 };
    const expiring = nowMs >= this.#announceAtMs;
    if (expiring) this.#announceAtMs = Number.POSITIVE_INFINITY;
    const nextMs = Math.min(endsAtMs, this.#announceAtMs) - nowMs;
    return { verdict: expiring ? 'expiring' : 'good', nextMs: Math.min(nextMs, this.registration.look(nowMs)) };
  }

  async #renewLogin(handle: string, nowMs: number): Promise<Renewal> {
    const standing = await this.#options.logins.renew(handle);
    this.registration.learn(standing);
    if (standing.ended !== undefined) throw new HoldfastError('login_ended', 'the login is over');
    const rights = this.#rights(standing.rights);
    this.#period(nowMs, standing.expiresAtMs);
    return { rights, accessToken: standing.accessToken };
  }

  async #verified(accessToken: string): Promise<Principal> {
    const presented = await this.#options.logins.verifyBearer(accessToken);
    const same = presented.principal === this.#principal.principal && presented.login?.handle === this.login?.handle;
    if (same) return presented;
    const message = 'the token is of another login or principal';
    throw new HoldfastError('principal_mismatch', message, { field: 'access_token' });
  }

  /** A mark that is set later is told to the registration. */
  async #checkMark(issuedAtMs: number): Promise<void> {
    if (issuedAtMs >= (await this.#options.logins.notBeforeMs(this.#principal.principal))) return;
    throw new HoldfastError('invalid_credential', 'the principal was disconnected after the token was issued');
  }

  #period(nowMs: number, expiresAtMs: number): void {
    const periodMs = expiresAtMs - nowMs;
    const noticeMs = Math.max(MIN_NOTICE_MS, Math.min(MAX_NOTICE_MS, periodMs / 3));
    this.#expiresAtMs = expiresAtMs;
    // A short period is not announced at its start, or each renewal would ask for the next.
    this.#announceAtMs = expiresAtMs - Math.min(noticeMs, periodMs / 2);
  }

  #rights(claim: unknown): SessionRights {
    try {
      return this.#rightsFor(this.#principal.principal, rightsClaim(claim));
    } catch (error) {
      throw error instanceof RangeError ? new HoldfastError('invalid_credential', error.message) : error;
    }
  }
}
