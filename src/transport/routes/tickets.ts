/** `POST /v1/auth/ticket`: any credential for one upgrade. */
import { Router } from 'express';
import type { LoginApi } from '../../login/api.js';
import { methodNotAllowed } from '../answers.js';
import { withCredential } from '../credentials.js';
import { jsonBody } from '../json-body.js';

export function ticketRoutes(logins: LoginApi): Router {
  const router = Router();
  router
    .route('/v1/auth/ticket')
    .post(...jsonBody, async (request, response) => {
      const ticket = await withCredential(request, (credential) => logins.ticket(credential, request.headers.origin));
      response.json(ticket);
    })
    .all(methodNotAllowed('POST'));
  return router;
}
