/** `/v1/sessions`: sessions and who owns them, for the application's backend. */
import { Router } from 'express';
import { optionalText, refuse, type TextRule } from '../../protocol/validate.js';
import { methodNotAllowed } from '../answers.js';
import { bodyOf, jsonBody } from '../json-body.js';
import { sessionIdOf } from '../message-requests.js';
import type { SessionsApi } from '../sessions-api.js';

const CONNECTION_ID: TextRule = { pattern: /^c_[A-Za-z0-9_-]{1,126}$/, rule: 'a connection id' };
const PRINCIPAL: TextRule = { pattern: /^\P{Cs}{1,256}$/su, rule: 'a string of 1 to 256 characters' };

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
    .get(async ({ params }, response) => void response.json(await sessions.inspect(sessionIdOf(params.id))))
    .delete(async ({ params }, response) => {
      await sessions.remove(sessionIdOf(params.id));
      response.status(204).end();
    })
    .all(methodNotAllowed('GET, HEAD, DELETE'));
  router
    .route('/v1/sessions/:id/owner')
    .put(...jsonBody, async (request, response) => {
      response.json(await sessions.giveOwner(sessionIdOf(request.params.id), ownerOf(request)));
    })
    .delete(async ({ params }, response) => void response.json(await sessions.removeOwner(sessionIdOf(params.id))))
    .all(methodNotAllowed('PUT, DELETE'));
  router
    .route('/v1/sessions/:id/subscriptions')
    .delete(async ({ params, query }, response) => {
      // A misspelt one would mean everybody.
      const unknown = Object.keys(query).find((key) => key !== 'connection_id' && key !== 'principal');
      if (unknown !== undefined) refuse('query', 'nothing but connection_id or principal');
      await sessions.removeSubscriptions(sessionIdOf(params.id), targetOf(query, 'query'));
      response.status(204).end();
    })
    .all(methodNotAllowed('DELETE'));
  return router;
}
