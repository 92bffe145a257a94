import { setTimeout as sleep } from 'node:timers/promises';
import type { Clock } from '../lib/clock.js';
import type { Log } from '../lib/log.js';
import { HoldfastError } from '../protocol/errors.js';
import type { Credential, IsGone, Principal } from './api.js';
import { type Ending, loginEnded } from './ending.js';
import { isPrincipal, loginHandle, principalHandle } from './handles.js';
import type { Issuer } from './issuer.js';
import { CredentialError, type JwtVerifier } from './jwt.js';
import type { LoginsOptions } from './options.js';
import type { LoginRecord, LoginStore, PresentedToken, PresentResult, PrincipalMarks } from './ports.js';
import type { RefreshToken } from './refresh-token.js';
import type { LoginTelemetry } from './telemetry.js';
import { VerifiedTokens } from './verified-tokens.js';
import { rightsOf } from './views.js';

/** The application's JWTs may last for long, and a key of theirs be withdrawn. */
const JWT_REMEMBERED_MS = 300_000;
const HEARD_AFTER_MS = 50;

interface Verified {
  principal: Principal;
  untilMs: number;
}

/** A genuine refresh token, and what the store said of it. */
export interface Presentation {
  token: RefreshToken;
  handle: string;
  result: PresentResult;
  login?: LoginRecord;
}

/** Who presents a credential, and whether that still counts. */
export class Credentials {
  readonly #store: LoginStore;
  readonly #marks: PrincipalMarks;
  readonly #jwt: JwtVerifier | undefined;
  readonly #jwtOnly: boolean;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #telemetry: LoginTelemetry;
  readonly #issuer: Issuer;
  readonly #ending: Ending;
  readonly #verified = new VerifiedTokens<Verified>();

  constructor(options: LoginsOptions, issuer: Issuer, ending: Ending) {
    this.#store = options.store;
    this.#marks = options.marks;
    this.#jwt = options.jwt;
    this.#jwtOnly = options.settings.jwtOnly === true;
    this.#clock = options.clock;
    this.#log = options.log;
    this.#telemetry = options.telemetry;
    this.#issuer = issuer;
    this.#ending = ending;
  }

  /**
   * What signature and time say of an access token or JWT. Whether its login lasts, or its principal was disconnected
   * since, is not asked here.
   * @throws HoldfastError `invalid_credential`
   */
  async verify(token: string): Promise<Principal> {
    const nowMs = this.#clock.wallMs();
    try {
      const { principal } = await this.#verified.get(token, nowMs, () =>
        !this.#jwtOnly && this.#issuer.access.recognises(token)
          ? this.#verifyAccessToken(token, nowMs)
          : this.#verifyJwt(token, nowMs),
      );
      return principal;
    } catch (error) {
      if (!(error instanceof CredentialError)) throw error;
      throw new HoldfastError('invalid_credential', error.message, { cause: error });
    }
  }

  /** @returns the login as well where there is one @throws as LoginApi.authenticate */
  async resolve(credential: Credential): Promise<{ principal: Principal; login?: LoginRecord }> {
    if (credential.kind === 'refresh_token') {
      const { login } = await this.present(credential.token, false, credential.isGone);
      return { principal: principalOf(login), login };
    }
    const principal = await this.verify(credential.token);
    if (principal.login === undefined) {
      await this.#checkMark(principal);
      return { principal };
    }
    const login = await this.#store.read(principal.login.handle);
    if (login?.state !== 'active') throw loginEnded(login);
    return { principal: principalOf(login), login };
  }

  /**
   * @param rotate false to check only
   * @throws HoldfastError `invalid_refresh_token`, `refresh_token_reused`, `login_ended`
   */
  async present(text: string, rotate: boolean, isGone?: IsGone): Promise<Presentation & { login: LoginRecord }> {
    const presentation = await this.examine(text, rotate, isGone);
    const { result, login } = presentation;
    if (result === 'ended') throw loginEnded(login);
    if (result === 'reused') {
      throw new HoldfastError('refresh_token_reused', 'the refresh token was used before: its login has been revoked');
    }
    if (result === 'unknown' || login === undefined) throw invalidRefreshToken();
    return { ...presentation, login };
  }

  /** As `present`, also of a login that is over. @throws HoldfastError `invalid_refresh_token` for none from here */
  async examine(text: string, rotate: boolean, isGone?: IsGone): Promise<Presentation> {
    const { refresh } = this.#issuer;
    const token = this.#jwtOnly ? 'logins_off' : refresh.read(text);
    const count: LoginTelemetry['loginRefreshed'] = (result) => {
      if (rotate) this.#telemetry.loginRefreshed(result);
    };
    if (typeof token === 'string') {
      count('invalid');
      this.#log.warn({ reason: token }, 'refresh token refused');
      throw invalidRefreshToken();
    }
    const handle = loginHandle(token.loginId);
    const presented = {
      generation: token.generation,
      tokenHash: refresh.hash(token),
      successorHash: refresh.hash(refresh.successor(token)),
      rotate,
    };
    const { result, login } = await this.#presentToStore(handle, presented, isGone).catch((error: unknown) => {
      count('error');
      throw error;
    });
    count(result);
    this.#note(result, { login: handle, generation: token.generation, current: login?.generation });
    if (result === 'reused' && login?.state === 'revoked') {
      this.#telemetry.loginEnded('token_reuse');
      await this.#ending.announce(login);
    }
    return { token, handle, result, ...(login !== undefined && { login }) };
  }

  /**
   * A request may be executed long after it was sent, by a node that was stopped or over a network that was cut, when
   * its client has gone on elsewhere: that is no theft. So a family is revoked only while somebody is there to hear it,
   * and by a call that is sent after the answer that there is reason to.
   */
  async #presentToStore(handle: string, token: PresentedToken, isGone: IsGone = () => false) {
    const first = await this.#store.present(handle, { ...token, spare: true });
    if (first.result !== 'reused') return first;
    // The end of a connection is read after what came over it.
    await sleep(HEARD_AFTER_MS);
    return isGone() ? first : this.#store.present(handle, token);
  }

  #note(result: PresentResult, fields: { login: string; generation: number; current: number | undefined }): void {
    const entry = { ...fields, reason: result };
    if (result === 'rotated' || result === 'replayed') this.#log.info(entry, 'refresh token accepted');
    else if (result === 'current') this.#log.debug(entry, 'refresh token accepted');
    else if (result === 'ended') this.#log.info(entry, 'refresh token refused');
    else this.#log.warn(entry, 'refresh token refused');
  }

  async #verifyAccessToken(token: string, nowMs: number): Promise<Verified> {
    const { principal, loginId, rights, expiresAtMs } = await this.#issuer.access.verify(token, nowMs);
    const login = { id: loginId, handle: loginHandle(loginId) };
    return { principal: { principal, rights, login, issuedAtMs: 0, expiresAtMs: 0 }, untilMs: expiresAtMs };
  }

  async #verifyJwt(token: string, nowMs: number): Promise<Verified> {
    if (this.#jwt === undefined) throw new CredentialError('not an access token of this gateway');
    const { subject, rights, issuedAtMs, expiresAtMs } = await this.#jwt.verify(token, nowMs);
    if (!isPrincipal(subject)) throw new CredentialError('sub is not a principal');
    const untilMs = Math.min(expiresAtMs, nowMs + JWT_REMEMBERED_MS);
    return { principal: { principal: subject, rights, issuedAtMs, expiresAtMs }, untilMs };
  }

  async #checkMark({ principal, issuedAtMs }: Principal): Promise<void> {
    const notBeforeMs = await this.#marks.get(principalHandle(principal));
    if (issuedAtMs >= notBeforeMs) return;
    throw new HoldfastError('invalid_credential', 'the token was issued before its principal was disconnected');
  }
}

function principalOf(login: LoginRecord): Principal {
  const { principal, loginId: id, handle } = login;
  return { principal, rights: rightsOf(login), login: { id, handle }, issuedAtMs: 0, expiresAtMs: 0 };
}

function invalidRefreshToken(): HoldfastError {
  return new HoldfastError('invalid_refresh_token', 'the refresh token is not one of a login here');
}
