/** Answers that are no route's own: problems, and what becomes of an error that a route throws. */
import type { ErrorRequestHandler, RequestHandler, Response } from 'express';
import type { Log } from '../lib/log.js';
import { HoldfastError } from '../protocol/errors.js';
import { isObject } from '../protocol/validate.js';
import { problemOf, SAFE_HEADERS } from './problem.js';

export function sendProblem(response: Response, error: HoldfastError, extra: Record<string, string> = {}): void {
  const { status, headers, body } = problemOf(error);
  response
    .status(status)
    .set({ ...headers, ...extra })
    .end(body);
}

export const safeHeaders: RequestHandler = (_request, response, next) => {
  response.set(SAFE_HEADERS);
  next();
};

/** @param allow the methods of the route, as in the header `Allow` */
export function methodNotAllowed(allow: string): RequestHandler {
  return (request, response) => {
    const error = new HoldfastError('method_not_allowed', `${request.method} is not possible here`);
    sendProblem(response, error, { Allow: allow });
  };
}

/** Whatever was thrown, as an error for the caller. Body parsers and the router throw errors with a 4xx `status`. */
function callersError(error: unknown): HoldfastError | undefined {
  if (error instanceof HoldfastError) return error;
  const status = isObject(error) && typeof error['status'] === 'number' ? error['status'] : 500;
  if (status === 413) return new HoldfastError('payload_too_large', 'The body must be at most 16 KiB');
  if (status < 400 || status > 499) return undefined;
  return new HoldfastError('invalid_field', 'The request is malformed', { field: 'body' });
}

/** What is not meant for the caller is logged, and answered `internal`. */
export function errorHandler(log: Log): ErrorRequestHandler {
  return (error: unknown, _request, response, next) => {
    if (response.headersSent) return next(error);
    const known = callersError(error);
    if (known === undefined) log.error({ error }, 'request failed unexpectedly');
    sendProblem(response, known ?? new HoldfastError('internal', 'The node failed to handle this'));
  };
}
