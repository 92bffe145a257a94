/** Which pages may call `/v1/auth`. Being readable is only half of it: requests from elsewhere are not carried out. */
import type { RequestHandler } from 'express';
import { HoldfastError } from '../protocol/errors.js';
import { isOriginAllowed, type OriginPolicy } from './origin.js';

/** How long a browser may remember the answer to a preflight; Chromium's limit is two hours. */
const PREFLIGHT_SECONDS = 600;

const PREFLIGHT_ANSWER = {
  'Access-Control-Allow-Methods': 'GET, POST',
  'Access-Control-Allow-Headers': 'Authorization, Content-Type, Idempotency-Key, X-Holdfast',
  'Access-Control-Max-Age': String(PREFLIGHT_SECONDS),
};

/** @throws HoldfastError `origin_not_allowed` for any Origin that is not on the list, `null` among them */
export function cors(origins: OriginPolicy): RequestHandler {
  return (request, response, next) => {
    response.vary('Origin');
    const { origin } = request.headers;
    if (origin === undefined) return next();
    if (!isOriginAllowed(origin, origins)) {
      throw new HoldfastError('origin_not_allowed', 'This origin is not on the list of allowed origins');
    }
    response.set({
      'Access-Control-Allow-Origin': origin,
      'Access-Control-Allow-Credentials': 'true',
      'Access-Control-Expose-Headers': 'Retry-After',
    });
    const isPreflight = request.method === 'OPTIONS' && request.headers['access-control-request-method'] !== undefined;
    if (!isPreflight) return next();
    response.status(204).set(PREFLIGHT_ANSWER).end();
  };
}
