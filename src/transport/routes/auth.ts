/** `/v1/auth`: what clients do with their own login. */

import { type Response, Router } from 'express';
import type { Clock } from '../../lib/clock.js';
import type { LoginApi } from '../../login/api.js';
import { HoldfastError } from '../../protocol/errors.js';
import type { IssuedTokens } from '../../protocol/http.js';
import { requiredText, type TextRule } from '../../protocol/validate.js';
import { methodNotAllowed } from '../answers.js';
import { CLEARED_COOKIE, refreshCookie } from '../cookies.js';
import { wantsCookie, withCredential } from '../credentials.js';
import { bodyOf, jsonBody } from '../json-body.js';
import { upstreamAnswer } from './upstream-answer.js';

const LOGIN_CODE: TextRule = { pattern: /^[\x21-\x7e]{1,256}$/, rule: 'a login code' };

export function authRoutes(logins: LoginApi, clock: Clock): Router {
  /** A page never sees the refresh token, so that no script in it can carry it off. */
  function sendTokens(response: Response, { refresh_token, ...tokens }: IssuedTokens, inCookie: boolean): void {
    if (inCookie) response.append('Set-Cookie', refreshCookie(refresh_token, tokens.max_expires_at - clock.wallMs()));
    response.json(inCookie ? tokens : { ...tokens, refresh_token });
  }

  const router = Router();
  router
    .route('/v1/auth/exchange')
    .post(...jsonBody, async (request, response) => {
      const inCookie = wantsCookie(request);
      const code = requiredText(bodyOf(request), 'login_code', LOGIN_CODE);
      sendTokens(response, await logins.exchange(code, request.headers.origin), inCookie);
    })
    .all(methodNotAllowed('POST'));

  router
    .route('/v1/auth/refresh')
    .post(...jsonBody, async (request, response) => {
      await withCredential(request, async (credential, inCookie) => {
        if (credential.kind !== 'refresh_token') {
          throw new HoldfastError('invalid_refresh_token', 'This is not a refresh token');
        }
        sendTokens(response, await logins.refresh(credential.token, credential.isGone), inCookie);
      });
    })
    .all(methodNotAllowed('POST'));

  router
    .route('/v1/auth/logout')
    .post(...jsonBody, async (request, response) => {
      await withCredential(request, async (credential, inCookie) => {
        await logins.logout(credential);
        if (inCookie) response.append('Set-Cookie', CLEARED_COOKIE);
        response.status(204).end();
      });
    })
    .all(methodNotAllowed('POST'));

  router
    .route('/v1/auth/me')
    .get(async (request, response) => {
      response.json(await withCredential(request, (credential) => logins.me(credential)));
    })
    .all(methodNotAllowed('GET, HEAD'));

  router
    .route('/v1/auth/upstream')
    .post(...jsonBody, async (request, response) => {
      const token = await withCredential(request, (credential) => logins.upstreamToken(credential));
      if (!token.expose) throw new HoldfastError('forbidden', 'Only the backend may have tokens of this provider');
      response.json(upstreamAnswer(token));
    })
    .all(methodNotAllowed('POST'));
  return router;
}
