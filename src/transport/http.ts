/** The public port's plain HTTP: backend routes, and the page where one is given. */
import { createHash, timingSafeEqual } from 'node:crypto';
import express, { type ErrorRequestHandler, type Express, type RequestHandler, type Response } from 'express';
import type { Log } from '../lib/log.js';
import { HoldfastError } from '../protocol/errors.js';
import { isSessionId, SESSION_ID_RULE } from '../protocol/session-id.js';
import { isObject, optionalText, refuse, type TextRule } from '../protocol/validate.js';
import { bearerToken } from './authenticate.js';
import { problemOf, SAFE_HEADERS } from './problem.js';
import type { SessionsApi } from './sessions-api.js';
import { CONNECT_PATH } from './upgrade.js';

/** Files under `directory`, served at `path`. */
export interface PageMount {
  path: string;
  directory: string;
}

export interface HttpOptions {
  sessions: SessionsApi;
  /** SHA-256 of each API key of the application's backend; without any, its routes refuse everyone. */
  apiKeyHashes: readonly Buffer[];
  /** The page, for development. */
  page: readonly PageMount[];
  log: Log;
}

const MAX_BODY = '16kb';
const CONNECTION_ID: TextRule = { pattern: /^c_[A-Za-z0-9_-]{1,126}$/, rule: 'a connection id' };
const PRINCIPAL: TextRule = { pattern: /^\P{Cs}{1,256}$/su, rule: 'a string of 1 to 256 characters' };
// Not every browser counts ws: as 'self'.
const PAGE_POLICY =
  "default-src 'self'; connect-src 'self' ws: wss:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

function sendProblem(response: Response, error: HoldfastError, extra: Record<string, string> = {}): void {
  const { status, headers, body } = problemOf(error);
  response
    .status(status)
    .set({ ...headers, ...extra })
    .end(body);
}

/** Backend routes are for servers: a browser could only have the key by mistake. */
function backendOnly(apiKeyHashes: readonly Buffer[]): RequestHandler {
  return (request, response, next) => {
    if (request.headers.origin !== undefined) {
      throw new HoldfastError('forbidden', 'Backend routes take no requests from browsers');
    }
    const presented = createHash('sha256')
      .update(bearerToken(request) ?? '')
      .digest();
    let known = false;
    // Every key is compared in full, so that time tells nothing about them.
    for (const hash of apiKeyHashes) known = timingSafeEqual(hash, presented) || known;
    if (known) return next();
    const error = new HoldfastError('unauthorized', 'Backend routes need Authorization: Bearer <API key>');
    sendProblem(response, error, { 'WWW-Authenticate': 'Bearer' });
  };
}

function methodNotAllowed(allow: string): RequestHandler {
  return (request, response) => {
    const error = new HoldfastError('method_not_allowed', `${request.method} is not possible here`);
    sendProblem(response, error, { Allow: allow });
  };
}

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

function ownerOf(body: unknown): Target {
  if (!isObject(body)) refuse('body', 'a JSON object (Content-Type: application/json)');
  const target = targetOf(body, 'body');
  return Object.keys(target).length > 0 ? target : refuse('body', 'an object with either connection_id or principal');
}

/** Whatever was thrown, as an error for the caller. Body parsers and the router throw errors with a 4xx `status`. */
function callersError(error: unknown): HoldfastError | undefined {
  if (error instanceof HoldfastError) return error;
  const status = isObject(error) && typeof error['status'] === 'number' ? error['status'] : 500;
  if (status === 413) return new HoldfastError('payload_too_large', `The body must be at most ${MAX_BODY}`);
  if (status < 400 || status > 499) return undefined;
  return new HoldfastError('invalid_field', 'The request is malformed', { field: 'body' });
}

export function httpApp({ sessions, apiKeyHashes, page, log }: HttpOptions): Express {
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');

  app.all(CONNECT_PATH, (_request, response) => {
    const error = new HoldfastError('upgrade_required', 'This address speaks WebSocket only');
    sendProblem(response, error, { Upgrade: 'websocket', Connection: 'Upgrade' });
  });

  app.use('/v1/sessions', backendOnly(apiKeyHashes), (_request, response, next) => {
    response.set(SAFE_HEADERS);
    next();
  });
  app
    .route('/v1/sessions/:id')
    .get(async ({ params }, response) => void response.json(await sessions.inspect(sessionIdOf(params))))
    .all(methodNotAllowed('GET, HEAD'));
  app
    .route('/v1/sessions/:id/owner')
    .put(express.json({ limit: MAX_BODY }), async ({ params, body }, response) => {
      response.json(await sessions.giveOwner(sessionIdOf(params), ownerOf(body)));
    })
    .delete(async ({ params }, response) => void response.json(await sessions.removeOwner(sessionIdOf(params))))
    .all(methodNotAllowed('PUT, DELETE'));
  app
    .route('/v1/sessions/:id/subscriptions')
    .delete(async ({ params, query }, response) => {
      // A misspelt one would mean everybody.
      const unknown = Object.keys(query).find((key) => key !== 'connection_id' && key !== 'principal');
      if (unknown !== undefined) refuse('query', 'nothing but connection_id or principal');
      await sessions.removeSubscriptions(sessionIdOf(params), targetOf(query, 'query'));
      response.status(204).end();
    })
    .all(methodNotAllowed('DELETE'));

  for (const { path, directory } of page) {
    const setHeaders = (response: Response) =>
      response.set({ ...SAFE_HEADERS, 'Cache-Control': 'no-cache', 'Content-Security-Policy': PAGE_POLICY });
    app.use(path, express.static(directory, { redirect: false, dotfiles: 'ignore', setHeaders }));
  }

  app.use((_request, response) => sendProblem(response, new HoldfastError('not_found', 'There is nothing here')));

  const onError: ErrorRequestHandler = (error: unknown, _request, response, next) => {
    if (response.headersSent) return next(error);
    const known = callersError(error);
    if (known === undefined) log.error({ error }, 'request failed unexpectedly');
    sendProblem(response, known ?? new HoldfastError('internal', 'The node failed to handle this'));
  };
  app.use(onError);
  return app;
}
