import { MacKey } from '../crypto/secrets.js';
import type { Clock } from '../lib/clock.js';
import type { Log } from '../lib/log.js';
import { HoldfastError } from '../protocol/errors.js';
import type { CreatedLogin, IssuedTokens } from '../protocol/http.js';
import { isObject } from '../protocol/validate.js';
import type { CreateLoginRequest } from './api.js';
import type { Ending } from './ending.js';
import { attributesText, checkExpiry, checkLoginId, checkPrincipal, invalidExpiry } from './fields.js';
import { loginHandle, newLoginId, principalHandle } from './handles.js';
import type { Issuer } from './issuer.js';
import type { LoginSettings, LoginsOptions, LoginUpstream } from './options.js';
import type { CreateLoginResult, LoginRecord, LoginStore } from './ports.js';
import type { LoginTelemetry } from './telemetry.js';
import { LoginCodes } from './tickets.js';

/** What names a new login, and its creation should the request come again. */
interface Identity {
  loginId: string;
  /** From which the first refresh token follows. */
  code: string;
  requestHash: string;
}

/** Makes logins, and hands them over to pages by login code. */
export class Creation {
  readonly #store: LoginStore;
  readonly #upstream: LoginUpstream | undefined;
  readonly #settings: LoginSettings;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #telemetry: LoginTelemetry;
  readonly #codes: LoginCodes;
  readonly #issuer: Issuer;
  readonly #ending: Ending;
  readonly #keys: readonly [MacKey, ...MacKey[]];

  constructor(options: LoginsOptions, issuer: Issuer, ending: Ending) {
    this.#store = options.store;
    this.#upstream = options.upstream;
    this.#settings = options.settings;
    this.#clock = options.clock;
    this.#log = options.log;
    this.#telemetry = options.telemetry;
    this.#codes = new LoginCodes({ oneTime: options.oneTime, ttlMs: options.settings.codeTtlMs });
    this.#issuer = issuer;
    this.#ending = ending;
    const [first, ...others] = options.secrets.map(({ value }) => new MacKey(value, 'idempotency'));
    if (first === undefined) throw new RangeError('logins need at least one secret');
    this.#keys = [first, ...others];
  }

  /**
   * One request with an `idempotencyKey` makes one login, however often it comes and wherever: id and code follow from
   * the key, and the first refresh token from the code.
   */
  async create(request: CreateLoginRequest): Promise<CreatedLogin> {
    const { principal, attributes = {}, rights = [], expires_at: expiresAtMs, login_id: chosenId, origin } = request;
    checkPrincipal(principal);
    if (chosenId !== undefined) checkLoginId(chosenId);
    if (expiresAtMs !== undefined) checkExpiry(expiresAtMs);
    if (request.upstream !== undefined && this.#upstream === undefined) throw noUpstream();
    const attributesAsText = attributesText(attributes);

    const { loginId, code, requestHash } = await this.#identify(request);
    const token = this.#issuer.refresh.first(loginId, code);
    const { result, login } = await this.#store.create({
      handle: loginHandle(loginId),
      loginId,
      chosen: chosenId !== undefined,
      requestHash,
      principal,
      principalHandle: principalHandle(principal),
      attributes: attributesAsText,
      rights: JSON.stringify(rights),
      idleMs: this.#settings.loginIdleMs,
      maxMs: this.#settings.loginMaxMs,
      expiresAtMs: expiresAtMs ?? 0,
      tokenHash: this.#issuer.refresh.hash(token),
    });
    if ((result !== 'created' && result !== 'replayed') || login?.state !== 'active') throw refusalOf(result, request);
    if (result === 'created') this.#telemetry.loginCreated();
    this.#log.info({ login: login.handle, result }, 'login created');
    await this.#storeGrant(request, result, login);
    if (login.generation === 1) await this.#codes.put(code, loginId, origin);
    return { ...(await this.#issuer.tokens(login, token)), login_code: code };
  }

  /** @throws HoldfastError `invalid_login_code` */
  async exchange(code: string, origin: string | undefined): Promise<IssuedTokens> {
    const loginId = await this.#codes.take(code, origin);
    const login = loginId === undefined ? undefined : await this.#store.read(loginHandle(loginId));
    // Past the first generation somebody else has the family, and its first token would soon count as stolen.
    if (login?.state !== 'active' || login.generation !== 1) {
      throw new HoldfastError('invalid_login_code', 'the login code is unknown, used, over or of another Origin');
    }
    return this.#issuer.tokens(login, this.#issuer.refresh.first(login.loginId, code));
  }

  async #identify(request: CreateLoginRequest): Promise<Identity> {
    const { idempotencyKey, login_id: chosenId } = request;
    if (idempotencyKey === undefined) {
      return { loginId: chosenId ?? newLoginId(), code: this.#codes.generate(), requestHash: '' };
    }
    const name = await this.#nameOf(idempotencyKey);
    const loginId = chosenId ?? name.loginId;
    const requestHash = name.key.mac('request', canonical(request)).toString('base64url');
    const code = this.#codes.generate(name.key.mac('code', idempotencyKey, loginId, requestHash));
    return { loginId, code, requestHash };
  }

  /**
   * What the key names: the login that there is under this period or the last and any of the secrets; else a new one,
   * under the first. No id comes back once its record is gone: tokens of the login that had it would count again.
   */
  async #nameOf(idempotencyKey: string): Promise<{ loginId: string; key: MacKey }> {
    const period = Math.floor(this.#clock.wallMs() / this.#settings.repeatableMs);
    const [first, ...others] = [period, period - 1].flatMap((at) =>
      this.#keys.map((key) => ({ loginId: newLoginId(key.mac('login', idempotencyKey, String(at))), key })),
    );
    for (const name of others) {
      if ((await this.#store.read(loginHandle(name.loginId))) !== undefined) return name;
    }
    return first as NonNullable<typeof first>;
  }

  async #storeGrant(request: CreateLoginRequest, result: CreateLoginResult, { handle }: LoginRecord): Promise<void> {
    if (request.upstream === undefined || this.#upstream === undefined) return;
    // The provider may have replaced the token since: to store this one again would destroy the grant.
    if (result === 'replayed' && (await this.#hadGrant(handle))) return;
    try {
      await this.#upstream.put(handle, request.upstream);
    } catch (error) {
      // Nobody but this call knows of the login.
      if (request.idempotencyKey === undefined && request.login_id === undefined) {
        await this.#ending.end(handle, 'revoked').catch(() => undefined);
      }
      throw error;
    }
  }

  async #hadGrant(handle: string): Promise<boolean> {
    return (await this.#store.events(handle)).some(({ kind }) => kind === 'grant_stored');
  }
}

export function noUpstream(): HoldfastError {
  return new HoldfastError('invalid_field', 'no upstream provider is configured', { field: 'upstream' });
}

function refusalOf(result: CreateLoginResult, request: CreateLoginRequest): HoldfastError {
  switch (result) {
    case 'invalid_expiry':
      return invalidExpiry();
    case 'too_many':
      return new HoldfastError('too_many_logins', 'the principal has as many logins as it may have');
    case 'duplicate':
      return request.login_id === undefined && request.idempotencyKey !== undefined
        ? new HoldfastError('idempotency_conflict', 'another request was made under this Idempotency-Key')
        : new HoldfastError('login_exists', 'there is or was a login with this id');
    case 'created':
    case 'replayed':
      return new HoldfastError('login_exists', 'the login that this request made is over');
  }
}

/** JSON with its keys in order, so that how a request was written does not matter. */
function canonical(value: object): string {
  return JSON.stringify(value, (_, inner: unknown) =>
    isObject(inner) ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1))) : inner,
  );
}
