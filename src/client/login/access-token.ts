export interface AccessToken {
  loginId: string;
  accessToken: string;
  /** ms since 1970, by the gateway's clock. */
  expiresAt: number;
}

/** What the client itself reads in an access token. It trusts none of it: the gateway and the application verify. */
export interface AccessTokenClaims {
  login_id?: string;
  /** Seconds since 1970, by the gateway's clock. */
  iat?: number;
  exp?: number;
}

/** The claims of a JWT; empty for what is none. */
export function claimsOf(token: string): AccessTokenClaims {
  try {
    // What is read of it is ASCII, so its UTF-8 need not be decoded.
    return JSON.parse(atob((token.split('.')[1] ?? '').replaceAll('-', '+').replaceAll('_', '/'))) as AccessTokenClaims;
  } catch {
    return {};
  }
}

/** An access token with less than this left is not handed out: a request takes time. */
const MARGIN_MS = 10_000;
/** A token is never due sooner than this after it came, however short it lasts. */
const MIN_LIFE_MS = 1_000;

/** A token that has just been received. */
export class HeldToken {
  readonly token: AccessToken;
  readonly #fromMs: number;
  readonly #untilMs: number;
  readonly #dueMs: number;

  /**
   * @param nowMs by this machine's clock, which may differ from the gateway's by any amount: what counts is how long it lasts
   * @param random uniform in [0, 1)
   */
  constructor(token: AccessToken, nowMs: number, random = Math.random) {
    const { iat, exp } = claimsOf(token.accessToken);
    const isTold = typeof iat === 'number' && typeof exp === 'number';
    const lifeMs = isTold ? (exp - iat) * 1_000 : token.expiresAt - nowMs;
    this.token = token;
    this.#fromMs = nowMs;
    this.#untilMs = nowMs + lifeMs;
    // After 60 to 80 % of its life. One that was over when it came says nothing about how long the next one lasts.
    this.#dueMs = lifeMs > 0 ? Math.max(MIN_LIFE_MS, lifeMs * (0.6 + 0.2 * random())) : Number.POSITIVE_INFINITY;
  }

  /** A clock that was set back does not tell how long ago the token came. */
  isUsable(nowMs: number): boolean {
    return nowMs >= this.#fromMs && nowMs < this.#untilMs - MARGIN_MS;
  }

  /** In how many ms to renew it; none or fewer: now. */
  dueInMs(nowMs: number): number {
    return nowMs < this.#fromMs ? 0 : this.#fromMs + this.#dueMs - nowMs;
  }
}
