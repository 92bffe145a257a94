/** `/v1/logins`: logins, for the application's backend. */
import { Router } from 'express';
import type { LoginApi } from '../../login/api.js';
import { methodNotAllowed } from '../answers.js';
import { bodyOf, jsonBody } from '../json-body.js';
import { createLoginRequest, loginIdOf, loginPatch, upstreamOf } from '../login-requests.js';
import type { OriginPolicy } from '../origin.js';
import { upstreamAnswer } from './upstream-answer.js';

export function loginRoutes(logins: LoginApi, origins: OriginPolicy): Router {
  const router = Router();
  router
    .route('/v1/logins')
    .post(...jsonBody, async (request, response) => {
      const wanted = createLoginRequest(bodyOf(request), request.get('idempotency-key'), origins);
      const created = await logins.create(wanted);
      response.status(201).location(`/v1/logins/${created.login_id}`).json(created);
    })
    .all(methodNotAllowed('POST'));
  router
    .route('/v1/logins/:id')
    .get(async ({ params }, response) => void response.json(await logins.get(loginIdOf(params.id))))
    .patch(...jsonBody, async (request, response) => {
      response.json(await logins.patch(loginIdOf(request.params.id), loginPatch(bodyOf(request))));
    })
    .delete(async ({ params }, response) => void response.json(await logins.revoke(loginIdOf(params.id))))
    .all(methodNotAllowed('GET, HEAD, PATCH, DELETE'));
  router
    .route('/v1/logins/:id/events')
    .get(async ({ params }, response) => {
      response.json({ events: await logins.events(loginIdOf(params.id)) });
    })
    .all(methodNotAllowed('GET, HEAD'));
  router
    .route('/v1/logins/:id/upstream')
    .put(...jsonBody, async (request, response) => {
      await logins.putUpstream(loginIdOf(request.params.id), upstreamOf(bodyOf(request)));
      response.status(204).end();
    })
    .post(async ({ params }, response) => {
      response.json(upstreamAnswer(await logins.upstreamTokenOf(loginIdOf(params.id))));
    })
    .all(methodNotAllowed('PUT, POST'));
  return router;
}
