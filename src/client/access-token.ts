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

/**
 * Until when to use a token that has just been received, by this machine's clock. Its own times are the gateway's, which
 * may differ by any amount: what counts is how long it lasts.
 */
export function usableUntilMs(token: string, expiresAtMs: number, nowMs: number): number {
  const { iat, exp } = claimsOf(token);
  return typeof iat === 'number' && typeof exp === 'number' ? nowMs + (exp - iat) * 1_000 : expiresAtMs;
}
