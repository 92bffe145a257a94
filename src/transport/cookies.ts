/**
 * The cookie in which browsers keep a refresh token. `__Host-` ties it to this very host over TLS, so that no sibling
 * domain can set one (RFC 6265bis §4.1.3.2); `SameSite=Strict` keeps it out of requests that other sites start.
 */
const NAME = '__Host-holdfast';
const ATTRIBUTES = 'Path=/; HttpOnly; Secure; SameSite=Strict';

/** Takes the cookie away. */
export const CLEARED_COOKIE = `${NAME}=; Max-Age=0; ${ATTRIBUTES}`;

/** The values of all cookies of that name; a browser sends one at most. */
export function refreshCookies(header: string | undefined): string[] {
  if (header?.includes(NAME) !== true) return [];
  return header.split(';').flatMap((pair) => {
    const [name = '', ...value] = pair.split('=');
    return bare(name) === NAME ? [bare(value.join('='))] : [];
  });
}

/** Not `trim`, which takes U+00A0 too: to a browser the name then has no prefix, and a sibling domain may set it. */
function bare(text: string): string {
  return text.replace(/^[ \t]+/, '').replace(/(?<![ \t])[ \t]+$/, '');
}

/** @param remainingMs how long the token can last at most */
export function refreshCookie(refreshToken: string, remainingMs: number): string {
  // With a Max-Age of 0 a node whose clock is fast would take the cookie away.
  const seconds = Math.max(1, Math.ceil(remainingMs / 1_000));
  return `${NAME}=${refreshToken}; Max-Age=${seconds}; ${ATTRIBUTES}`;
}
