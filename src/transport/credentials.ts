/** The credential of a request to `/v1/auth`: exactly one, in one place. */
import type { Request } from 'express';
import type { Credential } from '../login/api.js';
import { REFRESH_TOKEN_PREFIX } from '../login/refresh-token.js';
import { HoldfastError } from '../protocol/errors.js';
import { optionalText, type TextRule } from '../protocol/validate.js';
import { refreshCookies } from './cookies.js';
import { bodyOf } from './json-body.js';
import { bearerToken } from './presented.js';

const REFRESH_TOKEN: TextRule = { pattern: /./s, rule: 'a refresh token' };

interface RequestCredential {
  credential: Credential;
  inCookie: boolean;
}

/** Those in the header. Another scheme is for a proxy on the way, as with Basic in front of a staging system. */
function bearerTokens(request: Request): string[] {
  const headers = request.headersDistinct['authorization'] ?? [];
  if (headers.length > 1) return headers;
  return headers.filter((header) => /^bearer\b/i.test(header)).map(() => bearerToken(request) ?? '');
}

function isFromBrowser(request: Request): boolean {
  return request.headers.origin !== undefined || request.headers['sec-fetch-site'] !== undefined;
}

/**
 * What every use of a cookie asks for, since a browser adds it to requests that the page's author never wrote: a header
 * that pages of other origins cannot send without a preflight, and an origin. That an Origin which is given is allowed
 * has been checked before (`cors`).
 * @throws HoldfastError `missing_header`, `origin_not_allowed`
 */
function requirePage(request: Request): void {
  if (!request.get('x-holdfast')) {
    throw new HoldfastError('missing_header', 'Requests with or for the cookie need the header X-Holdfast');
  }
  if (request.headers.origin === undefined && request.headers['sec-fetch-site'] !== 'same-origin') {
    throw new HoldfastError('origin_not_allowed', 'Requests with the cookie need an Origin');
  }
}

function only(count: number): void {
  if (count > 1) throw new HoldfastError('multiple_credentials', 'Present one credential, in one place');
}

/** @throws HoldfastError `unauthorized` for none, `multiple_credentials`, `missing_header`, `origin_not_allowed` */
function requestCredential(request: Request): RequestCredential {
  const cookies = refreshCookies(request.headers.cookie);
  const bearers = bearerTokens(request);
  const inBody = optionalText(bodyOf(request), 'refresh_token', REFRESH_TOKEN);
  only(cookies.length + bearers.length + (inBody === undefined ? 0 : 1));
  const isGone = () => request.socket.destroyed;

  const [cookie] = cookies;
  if (cookie !== undefined) {
    requirePage(request);
    return { credential: { kind: 'refresh_token', token: cookie, isGone }, inCookie: true };
  }
  const token = inBody ?? bearers[0];
  if (token === undefined) throw new HoldfastError('unauthorized', 'Present a credential');
  const isRefreshToken = inBody !== undefined || token.startsWith(REFRESH_TOKEN_PREFIX);
  return {
    credential: isRefreshToken ? { kind: 'refresh_token', token, isGone } : { kind: 'bearer', token },
    inCookie: false,
  };
}

/**
 * Hands the work the request's credential. A refused cookie stays where it is: it does no harm, and by now the browser
 * may have a newer one, which an answer that takes it away would hit.
 * @throws HoldfastError `unauthorized` for none, `multiple_credentials`, `missing_header`, `origin_not_allowed`, and
 * what `work` throws
 */
export async function withCredential<T>(
  request: Request,
  work: (credential: Credential, inCookie: boolean) => Promise<T>,
): Promise<T> {
  const { credential, inCookie } = requestCredential(request);
  return work(credential, inCookie);
}

/**
 * For a request whose credential is the login code in its body. A cookie does not count as another one: it is what
 * was left by the login before, and no page can take it away.
 * @returns whether the refresh token goes into a cookie
 * @throws HoldfastError `multiple_credentials`, `missing_header`, `origin_not_allowed`
 */
export function wantsCookie(request: Request): boolean {
  const inBody = bodyOf(request)['refresh_token'] === undefined ? 0 : 1;
  only(1 + bearerTokens(request).length + inBody);
  if (!isFromBrowser(request)) return false;
  requirePage(request);
  return true;
}
