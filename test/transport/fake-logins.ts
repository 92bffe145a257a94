import type { Clock } from '../../src/lib/clock.js';
import type { Principal } from '../../src/login/api.js';
import { CredentialError, type JwtVerifier } from '../../src/login/jwt.js';
import { LiveLogins, type LoginStanding } from '../../src/login/live-logins.js';
import type { LoginEndReason } from '../../src/login/ports.js';
import { HoldfastError } from '../../src/protocol/errors.js';
import { ALL_RIGHTS, rightsOf } from '../../src/session/rights.js';
import type { AuthenticationOptions, ConnectionLogins, CredentialOptions } from '../../src/transport/authenticate.js';
import { FakeControlLog } from '../support/fake-control-log.js';
import { quietLogins, silent } from '../support/silent.js';

export const ACCESS_TOKEN_TTL_MS = 300_000;

interface FakeLogin {
  rights: unknown;
  idleMs: number;
  endsAtMs: number;
  maxEndsAtMs: number;
  ended?: LoginEndReason;
}

/** Logins and credentials as a test sets them. */
export class FakeLogins implements ConnectionLogins {
  readonly tickets = new Map<string, { principal: Principal; origin: string | undefined }>();
  readonly bearers = new Map<string, Principal>();
  readonly marks = new Map<string, number>();
  readonly logins = new Map<string, FakeLogin>();
  readonly touches: boolean[] = [];
  /** Awaited before a login is read. */
  reading: (() => Promise<void>) | undefined;
  away = false;
  renewals = 0;
  readonly #clock: Clock;
  readonly #jwt: JwtVerifier | undefined;

  constructor(clock: Clock, jwt?: JwtVerifier) {
    this.#clock = clock;
    this.#jwt = jwt;
  }

  /** A login of alice, and who presents its credentials. */
  create(handle: string, { rights = [] as unknown, idleMs = 900_000, maxMs = 86_400_000 } = {}): Principal {
    const nowMs = this.#clock.wallMs();
    this.logins.set(handle, { rights, idleMs, endsAtMs: nowMs + idleMs, maxEndsAtMs: nowMs + maxMs });
    return { principal: 'alice', rights, login: { id: `login_${handle}`, handle }, issuedAtMs: 0, expiresAtMs: 0 };
  }

  end(handle: string, reason: LoginEndReason): void {
    this.#login(handle).ended = reason;
  }

  async takeTicket(ticket: string, origin: string | undefined): Promise<Principal> {
    this.#reach();
    const found = this.tickets.get(ticket);
    this.tickets.delete(ticket);
    if (found?.origin !== origin || found === undefined)
      throw new HoldfastError('invalid_credential', 'no such ticket');
    return found.principal;
  }

  async verifyBearer(token: string): Promise<Principal> {
    this.#reach();
    const found = this.bearers.get(token);
    if (found !== undefined) return found;
    try {
      if (this.#jwt === undefined) throw new CredentialError('unknown');
      const { subject, ...jwt } = await this.#jwt.verify(token);
      return { principal: subject, ...jwt };
    } catch (error) {
      throw new HoldfastError('invalid_credential', (error as Error).message, { cause: error });
    }
  }

  async login(handle: string): Promise<LoginStanding<{ rights: unknown }>> {
    await this.reading?.();
    this.#reach();
    return this.#standing(this.#login(handle));
  }

  async renew(handle: string): Promise<LoginStanding<{ rights: unknown; accessToken: string; expiresAtMs: number }>> {
    this.#reach();
    const standing = this.#slid(handle, true);
    this.renewals += 1;
    const expiresAtMs = this.#clock.wallMs() + ACCESS_TOKEN_TTL_MS;
    return standing.ended === undefined
      ? { ...standing, accessToken: `access-${this.renewals}`, expiresAtMs }
      : standing;
  }

  async notBeforeMs(principal: string): Promise<number> {
    this.#reach();
    return this.marks.get(principal) ?? 0;
  }

  async touch(handle: string, active: boolean): Promise<LoginStanding> {
    this.#reach();
    this.touches.push(active);
    return this.#slid(handle, active);
  }

  #slid(handle: string, active: boolean) {
    const login = this.#login(handle);
    if (active && this.#standing(login).ended === undefined) {
      login.endsAtMs = Math.min(this.#clock.wallMs() + login.idleMs, login.maxEndsAtMs);
    }
    return this.#standing(login);
  }

  #standing(login: FakeLogin): LoginStanding<{ rights: unknown }> {
    const nowMs = this.#clock.wallMs();
    if (nowMs >= login.endsAtMs) login.ended ??= nowMs >= login.maxEndsAtMs ? 'max_age' : 'idle';
    return login.ended === undefined ? { endsAtMs: login.endsAtMs, rights: login.rights } : { ended: login.ended };
  }

  #login(handle: string): FakeLogin {
    const login = this.logins.get(handle);
    if (login === undefined) throw new Error('no such login');
    return login;
  }

  #reach(): void {
    if (this.away) throw new HoldfastError('store_unavailable', 'the store is away');
  }
}

export interface FakeAuthentication {
  logins: FakeLogins;
  control: FakeControlLog;
  live: LiveLogins;
  authentication: AuthenticationOptions & { credentials: CredentialOptions };
}

/** What the composition root makes of logins, over fakes. Rights are those of the credential; without any, all. */
export async function fakeAuthentication(
  clock: Clock,
  changes: { jwt?: JwtVerifier; ticketInUrl?: boolean; anonymous?: boolean } = {},
): Promise<FakeAuthentication> {
  const { jwt, ticketInUrl = false, anonymous = false } = changes;
  const logins = new FakeLogins(clock, jwt);
  const control = new FakeControlLog();
  const touch = (handle: string, active: boolean) => logins.touch(handle, active);
  const notBeforeMs = async () => 0;
  const parts = { control, touch, notBeforeMs, clock, log: silent, telemetry: quietLogins };
  const live = new LiveLogins({ ...parts, pollEveryMs: 10 });
  await live.start();
  const credentials = { logins, live, accessTokenTtlMs: ACCESS_TOKEN_TTL_MS, ticketInUrl };
  const authentication: AuthenticationOptions & { credentials: CredentialOptions } = {
    credentials,
    anonymous,
    rightsFor: (principal, claims) => (claims.length === 0 ? ALL_RIGHTS : rightsOf(principal, claims, [])),
  };
  return { logins, control, live, authentication };
}
