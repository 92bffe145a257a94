/** `/v1/principals`: all logins and JWTs of a principal, for the application's backend. */
import { Router } from 'express';
import type { Clock } from '../../lib/clock.js';
import type { LoginApi } from '../../login/api.js';
import { methodNotAllowed } from '../answers.js';
import { bodyOf, jsonBody } from '../json-body.js';
import { optionalTime, principalOf } from '../login-requests.js';

export function principalRoutes(logins: LoginApi): Router {
  const router = Router();
  router
    .route('/v1/principals/:principal/logins')
    .get(async ({ params }, response) => {
      response.json({ logins: await logins.list(principalOf(params.principal)) });
    })
    .delete(async ({ params }, response) => {
      response.json({ revoked: await logins.revokeAll(principalOf(params.principal)) });
    })
    .all(methodNotAllowed('GET, HEAD, DELETE'));
  return router;
}

export function disconnectRoutes(logins: LoginApi, clock: Clock): Router {
  const router = Router();
  router
    .route('/v1/principals/:principal/disconnect')
    .post(...jsonBody, async (request, response) => {
      const notBeforeMs = optionalTime(bodyOf(request), 'not_before') ?? clock.wallMs();
      await logins.disconnect(principalOf(request.params.principal), notBeforeMs);
      response.status(204).end();
    })
    .all(methodNotAllowed('POST'));
  return router;
}
