/** `/v1/sessions`: ownership, for the application's backend. */
import { Router } from 'express';
import { isSessionId, SESSION_ID_RULE } from '../../protocol/session-id.js';
import { optionalText, refuse, type TextRule } from '../../protocol/validate.js';
import { methodNotAllowed } from '../answers.js';
import { bodyOf, jsonBody } from '../json-body.js';
import type { SessionsApi } from '../sessions-api.js';

const CONNECTION_ID: TextRule = { pattern: /^c_[A-Za-z0-9_-]{1,126}$/, rule: 'a connection id' };
const PRINCIPAL: TextRule = { pattern: /^\P{Cs}{1,256}$/su, rule: 'a string of 1 to 256 characters' };

function sessionIdOf(params: { id: string }): string {
  return isSessionId(params.id) ? params.id : refuse('session_id', SESSION_ID_RULE);
}

interface Target {
  connection_id?: string;
  principal?: string;
}

/** @param where what is wrong when both are given: the body or the query */
function targetOf(given: Record<string, unknown>, where: string): Target {
  const connectionId = optionalText(given, 'connection_id', CONNECTION_ID);
  const principal = optionalText(given, 'principal', PRINCIPAL);
  if (connectionId !== undefined && principal !== undefined) refuse(where, 'not both connection_id and principal');
  if (connectionId !== undefined) return { connection_id: connectionId };
  return principal === undefined ? {} : { principal };
}

function ownerOf(request: { body: unknown }): Target {
  const target = targetOf(bodyOf(request), 'body');
  return Object.keys(target).length > 0 ? target : refuse('body', 'an object with either connection_id or principal');
}

export function sessionRoutes(sessions: SessionsApi): Router {
  const router = Router();
  router
    .route('/v1/sessions/:id')
    .get(async ({ params }, response) => void response.json(await sessions.inspect(sessionIdOf(params))))
    .all(methodNotAllowed('GET, HEAD'));
  router
    .route('/v1/sessions/:id/owner')
    .put(...jsonBody, async (request, response) => {
      response.json(await sessions.giveOwner(sessionIdOf(request.params), ownerOf(request)));
    })
    .delete(async ({ params }, response) => void response.json(await sessions.removeOwner(sessionIdOf(params))))
    .all(methodNotAllowed('PUT, DELETE'));
  router
    .route('/v1/sessions/:id/subscriptions')
    .delete(async ({ params, query }, response) => {
      // A misspelt one would mean everybody.
      const unknown = Object.keys(query).find((key) => key !== 'connection_id' && key !== 'principal');
      if (unknown !== undefined) refuse('query', 'nothing but connection_id or principal');
      await sessions.removeSubscriptions(sessionIdOf(params), targetOf(query, 'query'));
      response.status(204).end();
    })
    .all(methodNotAllowed('DELETE'));
  return router;
}
