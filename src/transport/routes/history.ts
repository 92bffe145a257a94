/** `/v1/sessions/{id}/history`: what was said in a session, for the application's backend. */
import { Router } from 'express';
import { type JsonObject, own, refuse } from '../../protocol/validate.js';
import type { HistoryRange } from '../../session/message-ports.js';
import { methodNotAllowed } from '../answers.js';
import { sessionIdOf } from '../message-requests.js';
import type { SessionsApi } from '../sessions-api.js';

const DEFAULT_LIMIT = 100;
const MAX_LIMIT = 1_000;
const INTEGER = /^\d{1,16}$/;

/** A misspelt parameter would mean the default. */
function onlyKnown(query: JsonObject, known: readonly string[]): void {
  if (!Object.keys(query).every((key) => known.includes(key))) refuse('query', `nothing but ${known.join(', ')}`);
}

function optionalNumber(query: JsonObject, key: string, least: number, most = Number.MAX_SAFE_INTEGER) {
  const value = own(query, key);
  if (value === undefined) return undefined;
  const number = typeof value === 'string' && INTEGER.test(value) ? Number(value) : Number.NaN;
  return number >= least && number <= most ? number : refuse(key, `an integer from ${least} to ${most}`);
}

function rangeOf(query: JsonObject): HistoryRange {
  const after = optionalNumber(query, 'after', 0);
  const before = optionalNumber(query, 'before', 1);
  if (after === undefined) return { before: before ?? Number.MAX_SAFE_INTEGER };
  return before === undefined ? { after } : refuse('query', 'not both after and before');
}

export function historyRoutes(sessions: SessionsApi): Router {
  const router = Router();
  router
    .route('/v1/sessions/:id/history')
    .get(async ({ params, query }, response) => {
      onlyKnown(query, ['after', 'before', 'limit']);
      const limit = optionalNumber(query, 'limit', 1, MAX_LIMIT) ?? DEFAULT_LIMIT;
      response.json(await sessions.history(sessionIdOf(params.id), rangeOf(query), limit));
    })
    .delete(async ({ params, query }, response) => {
      onlyKnown(query, ['through']);
      const through = optionalNumber(query, 'through', 0) ?? refuse('through', 'given');
      await sessions.truncate(sessionIdOf(params.id), through);
      response.status(204).end();
    })
    .all(methodNotAllowed('GET, HEAD, DELETE'));
  return router;
}
