import type { AccessToken } from './login-info.js';

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
    const payload = atob((token.split('.')[1] ?? '').replaceAll('-', '+').replaceAll('_', '/'));
    const bytes = Uint8Array.from(payload, (character) => character.codePointAt(0) ?? 0);
    return JSON.parse(new TextDecoder().decode(bytes)) as AccessTokenClaims;
  } catch {
    return {};
  }
}

/** An access token with less than this left is not handed out: a request takes time. */
const MARGIN_MS = 10_000;

/** A token that has just been received. */
export class HeldToken {
  readonly token: AccessToken;
  readonly #fromMs: number;
  readonly #untilMs: number;

  /** @param nowMs by this machine's clock, which may differ from the gateway's by any amount: what counts is how long it lasts */
  constructor(token: AccessToken, nowMs: number) {
    const { iat, exp } = claimsOf(token.accessToken);
    const isTold = typeof iat === 'number' && typeof exp === 'number';
    this.token = token;
    this.#fromMs = nowMs;
    this.#untilMs = isTold ? nowMs + (exp - iat) * 1_000 : token.expiresAt;
  }

  /** A clock that was set back does not tell how long ago the token came. */
  isUsable(nowMs: number): boolean {
    return nowMs >= this.#fromMs && nowMs < this.#untilMs - MARGIN_MS;
  }
}
