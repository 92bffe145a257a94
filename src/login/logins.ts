import type { Clock } from '../lib/clock.js';
import { HoldfastError } from '../protocol/errors.js';
import type { CreatedLogin, IssuedTokens, LoginView } from '../protocol/http.js';
import type {
  CreateLoginRequest,
  Credential,
  IsGone,
  LoginApi,
  LoginPatch,
  NewUpstreamGrant,
  Principal,
  UpstreamToken,
} from './api.js';
import { Creation, noUpstream } from './creation.js';
import { Credentials } from './credentials.js';
import { Ending, endReasonOf } from './ending.js';
import { attributesText, checkExpiry, checkPrincipal, invalidExpiry } from './fields.js';
import { loginHandle, principalHandle } from './handles.js';
import { Issuer } from './issuer.js';
import type { LoginStanding } from './live-logins.js';
import type { LoginsOptions, LoginUpstream } from './options.js';
import type { ControlLog, LoginRecord, LoginStore, PrincipalMarks } from './ports.js';
import type { LoginTelemetry } from './telemetry.js';
import { Tickets } from './tickets.js';
import { eventView, rightsOf, viewOf } from './views.js';

/** The logins of a deployment, as one node serves them: to callers by HTTP, and to connections. Keeps none of them. */
export class Logins implements LoginApi {
  readonly #store: LoginStore;
  readonly #control: ControlLog;
  readonly #marks: PrincipalMarks;
  readonly #markTtlMs: number;
  readonly #jwtOnly: boolean;
  readonly #upstream: LoginUpstream | undefined;
  readonly #clock: Clock;
  readonly #telemetry: LoginTelemetry;
  readonly #tickets: Tickets;
  readonly #issuer: Issuer;
  readonly #ending: Ending;
  readonly #creation: Creation;
  readonly #credentials: Credentials;

  constructor(options: LoginsOptions) {
    const { oneTime, clock, settings } = options;
    this.#store = options.store;
    this.#control = options.control;
    this.#marks = options.marks;
    this.#markTtlMs = settings.markTtlMs;
    this.#jwtOnly = settings.jwtOnly === true;
    this.#upstream = options.upstream;
    this.#clock = clock;
    this.#telemetry = options.telemetry;
    this.#tickets = new Tickets({ oneTime, clock, ttlMs: settings.ticketTtlMs });
    this.#issuer = new Issuer(options);
    this.#ending = new Ending(options);
    this.#creation = new Creation(options, this.#issuer, this.#ending);
    this.#credentials = new Credentials(options, this.#issuer, this.#ending);
  }

  create(request: CreateLoginRequest): Promise<CreatedLogin> {
    return this.#creation.create(request);
  }

  exchange(code: string, origin: string | undefined): Promise<IssuedTokens> {
    return this.#creation.exchange(code, origin);
  }

  async get(loginId: string): Promise<LoginView> {
    return viewOf(await this.#active(loginId));
  }

  async patch(loginId: string, { attributes, rights, expires_at: expiresAtMs }: LoginPatch): Promise<LoginView> {
    if (expiresAtMs !== undefined) checkExpiry(expiresAtMs);
    const { changed, login } = await this.#store.touch(loginHandle(loginId), {
      active: false,
      ...(expiresAtMs !== undefined && { expiresAtMs }),
      ...(attributes !== undefined && { attributes: attributesText(attributes) }),
      ...(rights !== undefined && { rights: JSON.stringify(rights) }),
    });
    if (login?.state !== 'active') throw unknownLogin();
    if (!changed) throw invalidExpiry();
    return viewOf(login);
  }

  async revoke(loginId: string): Promise<LoginView> {
    const { login } = await this.#ending.end(loginHandle(loginId), 'revoked');
    if (login === undefined) throw unknownLogin();
    return viewOf(login);
  }

  async events(loginId: string): Promise<object[]> {
    const events = await this.#store.events(loginHandle(loginId));
    if (events.length === 0) throw unknownLogin();
    return events.map(eventView);
  }

  async list(principal: string): Promise<LoginView[]> {
    checkPrincipal(principal);
    return (await this.#store.list(principalHandle(principal))).map(viewOf);
  }

  async revokeAll(principal: string): Promise<number> {
    checkPrincipal(principal);
    const logins = await this.#store.list(principalHandle(principal));
    const outcomes = await Promise.all(logins.map(({ handle }) => this.#ending.end(handle, 'revoked')));
    return outcomes.filter(({ ended }) => ended).length;
  }

  async disconnect(principal: string, notBeforeMs: number): Promise<void> {
    checkPrincipal(principal);
    const handle = principalHandle(principal);
    await this.#marks.set(handle, notBeforeMs, this.#markTtlMs);
    await this.#control.append({ kind: 'principal_disconnected', principalHandle: handle, notBeforeMs });
  }

  async refresh(refreshToken: string, isGone?: IsGone): Promise<IssuedTokens> {
    const { result, token, login } = await this.#credentials.present(refreshToken, true, isGone);
    return this.#issuer.tokens(login, result === 'current' ? token : this.#issuer.refresh.successor(token));
  }

  async authenticate(credential: Credential): Promise<Principal> {
    return (await this.#credentials.resolve(credential)).principal;
  }

  async me(credential: Credential): Promise<LoginView> {
    const { login } = await this.#credentials.resolve(credential);
    if (login === undefined) throw noLogin();
    return viewOf(login);
  }

  async logout(credential: Credential): Promise<void> {
    if (credential.kind === 'refresh_token') {
      const { handle, result } = await this.#credentials.examine(credential.token, false, credential.isGone);
      if (result !== 'reused') await this.#ending.end(handle, 'logout');
      return;
    }
    const { login } = await this.#credentials.verify(credential.token);
    if (login === undefined) throw noLogin();
    await this.#ending.end(login.handle, 'logout');
  }

  async ticket(credential: Credential, origin: string | undefined): Promise<{ ticket: string; expires_at: number }> {
    const ticket = await this.#tickets.issue(await this.authenticate(credential), origin);
    this.#telemetry.ticket('issued');
    return ticket;
  }

  /** Whether its login still lasts, or its principal was disconnected since, is not asked here: `login`, `notBeforeMs`. */
  async takeTicket(ticket: string, origin: string | undefined): Promise<Principal> {
    const issued = await this.#tickets.take(ticket, origin);
    const principal = this.#jwtOnly && issued?.login !== undefined ? undefined : issued;
    const isRefused = principal?.login === undefined && (principal?.expiresAtMs ?? 0) <= this.#clock.wallMs();
    this.#telemetry.ticket(isRefused ? 'refused' : 'taken');
    if (principal === undefined) {
      throw new HoldfastError('invalid_credential', 'the ticket is unknown, used, over or of another Origin');
    }
    if (isRefused)
      throw new HoldfastError('invalid_credential', 'the token for which the ticket was given has expired');
    return principal;
  }

  /**
   * An access token or the application's own JWT, by signature and time. The rest is for `login` and `notBeforeMs` to
   * say, once the connection is registered.
   * @throws HoldfastError `invalid_credential`
   */
  verifyBearer(token: string): Promise<Principal> {
    return this.#credentials.verify(token);
  }

  /** The login with its rights as in the claim, unchecked; or why it is over. */
  async login(handle: string): Promise<LoginStanding<{ rights: unknown }>> {
    const login = await this.#store.read(handle);
    return standingOf(login, (active) => ({ rights: rightsOf(active) }));
  }

  /** Records that the login is in use; `active` slides its idle expiry as well. */
  async touch(handle: string, active: boolean): Promise<LoginStanding> {
    const { login } = await this.#store.touch(handle, { active });
    return standingOf(login, () => ({}));
  }

  /** As `login`, and counts as activity. @returns a fresh access token with its end besides */
  async renew(handle: string): Promise<LoginStanding<{ rights: unknown; accessToken: string; expiresAtMs: number }>> {
    const { login } = await this.#store.touch(handle, { active: true });
    if (login?.state !== 'active') return { ended: endReasonOf(login) };
    const { token, expiresAtMs } = await this.#issuer.accessToken(login);
    return { endsAtMs: login.expiresAtMs, rights: rightsOf(login), accessToken: token, expiresAtMs };
  }

  /** From when on the application's JWTs for the principal count, ms since 1970; 0 for always. */
  notBeforeMs(principal: string): Promise<number> {
    return this.#marks.get(principalHandle(principal));
  }

  async upstreamToken(credential: Credential): Promise<UpstreamToken> {
    const { login } = await this.#credentials.resolve(credential);
    if (login === undefined) throw noLogin();
    return this.#upstreamTokenOf(login);
  }

  async upstreamTokenOf(loginId: string): Promise<UpstreamToken> {
    return this.#upstreamTokenOf(await this.#active(loginId));
  }

  async putUpstream(loginId: string, grant: NewUpstreamGrant): Promise<void> {
    if (this.#upstream === undefined) throw noUpstream();
    const { handle } = await this.#active(loginId);
    await this.#upstream.put(handle, grant);
  }

  async #upstreamTokenOf({ handle }: LoginRecord): Promise<UpstreamToken> {
    if (this.#upstream === undefined) throw new HoldfastError('not_found', 'the login has no upstream grant');
    return this.#upstream.token(handle);
  }

  async #active(loginId: string): Promise<LoginRecord> {
    const login = await this.#store.read(loginHandle(loginId));
    if (login?.state !== 'active') throw unknownLogin();
    return login;
  }
}

function standingOf<T extends object>(
  login: LoginRecord | undefined,
  more: (login: LoginRecord) => T,
): LoginStanding<T> {
  return login?.state === 'active' ? { endsAtMs: login.expiresAtMs, ...more(login) } : { ended: endReasonOf(login) };
}

function unknownLogin(): HoldfastError {
  return new HoldfastError('not_found', 'there is no login with this id');
}

function noLogin(): HoldfastError {
  return new HoldfastError('no_login', 'the token is one of the application: there is no login behind it');
}
