/** Answers that are no route's own: problems, and what becomes of an error that a route throws. */
import type { ServerResponse } from 'node:http';
import type { ErrorRequestHandler, RequestHandler } from 'express';
import type { Log } from '../lib/log.js';
import { HoldfastError } from '../protocol/errors.js';
import { isObject } from '../protocol/validate.js';
import { problemOf, SAFE_HEADERS } from './problem.js';

const JSON_HEADERS = { ...SAFE_HEADERS, 'Content-Type': 'application/json; charset=utf-8' };

/** As express does it, for routes that do without. */
export function sendJson(response: ServerResponse, value: object): void {
  sendJsonText(response, JSON.stringify(value));
}

export function sendJsonText(response: ServerResponse, body: string): void {
  response.writeHead(200, { ...JSON_HEADERS, 'Content-Length': Buffer.byteLength(body) }).end(body);
}

export function sendProblem(response: ServerResponse, error: HoldfastError, extra: Record<string, string> = {}): void {
  const { status, headers, body } = problemOf(error);
  response.writeHead(status, { ...headers, ...extra, 'Content-Length': Buffer.byteLength(body) }).end(body);
}

/** Whatever was thrown. What is not meant for the caller is logged, and answered `internal`. */
export function sendError(response: ServerResponse, error: unknown, log: Log): void {
  const known = callersError(error);
  if (known === undefined) log.error({ error }, 'request failed unexpectedly');
  sendProblem(response, known ?? new HoldfastError('internal', 'The node failed to handle this'));
}

export const safeHeaders: RequestHandler = (_request, response, next) => {
  response.set(SAFE_HEADERS);
  next();
};

export function notAllowed(response: ServerResponse, method: string | undefined, allow: string): void {
  sendProblem(response, new HoldfastError('method_not_allowed', `${method} is not possible here`), { Allow: allow });
}

/** @param allow the methods of the route, as in the header `Allow` */
export function methodNotAllowed(allow: string): RequestHandler {
  return (request, response) => notAllowed(response, request.method, allow);
}

export function errorHandler(log: Log): ErrorRequestHandler {
  return (error: unknown, _request, response, next) => {
    if (response.headersSent) return next(error);
    sendError(response, error, log);
  };
}

/** The router throws errors with a 4xx `status`. */
function callersError(error: unknown): HoldfastError | undefined {
  if (error instanceof HoldfastError) return error;
  const status = isObject(error) && typeof error['status'] === 'number' ? error['status'] : 500;
  if (status < 400 || status > 499) return undefined;
  return new HoldfastError('invalid_field', 'The request is malformed', { field: 'path' });
}
