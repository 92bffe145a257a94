import type { Clock } from '../lib/clock.js';
import type { IssuedTokens } from '../protocol/http.js';
import { AccessTokens } from './access-token.js';
import type { LoginsOptions } from './options.js';
import type { LoginRecord } from './ports.js';
import { type RefreshToken, RefreshTokens } from './refresh-token.js';
import { rightsOf } from './views.js';

const DEFAULT_ISSUER = 'holdfast';

/** The tokens of logins. */
export class Issuer {
  readonly access: AccessTokens;
  readonly refresh: RefreshTokens;
  readonly #clock: Clock;
  readonly #accessTtlMs: number;

  constructor({ secrets, signing, clock, settings }: LoginsOptions) {
    this.access = new AccessTokens(signing, settings.publicUrl ?? DEFAULT_ISSUER);
    this.refresh = new RefreshTokens(secrets);
    this.#clock = clock;
    this.#accessTtlMs = settings.accessTokenTtlMs;
  }

  accessToken(login: LoginRecord): Promise<{ token: string; expiresAtMs: number }> {
    const claims = { principal: login.principal, loginId: login.loginId, rights: rightsOf(login) };
    return this.access.issue(claims, this.#clock.wallMs(), this.#accessTtlMs);
  }

  /** A fresh access token beside this refresh token. */
  async tokens(login: LoginRecord, refreshToken: RefreshToken): Promise<IssuedTokens> {
    const { token, expiresAtMs } = await this.accessToken(login);
    return {
      login_id: login.loginId,
      principal: login.principal,
      access_token: token,
      expires_at: expiresAtMs,
      refresh_token: this.refresh.write(refreshToken),
      max_expires_at: login.maxExpiresAtMs,
    };
  }
}
