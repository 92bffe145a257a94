/** The guard of the routes for the application's backend. */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { RequestHandler } from 'express';
import { HoldfastError } from '../protocol/errors.js';
import { bearerToken } from './presented.js';

/**
 * Backend routes are for servers: a browser could only have the key by mistake.
 * @param apiKeyHashes SHA-256 of each key; without any, everyone is refused
 */
export function backendOnly(apiKeyHashes: readonly Buffer[]): RequestHandler {
  return (request, _response, next) => {
    if (request.headers.origin !== undefined) {
      throw new HoldfastError('forbidden', 'Backend routes take no requests from browsers');
    }
    const presented = createHash('sha256')
      .update(bearerToken(request) ?? '')
      .digest();
    let known = false;
    // Every key is compared in full, so that time tells nothing about them.
    for (const hash of apiKeyHashes) known = timingSafeEqual(hash, presented) || known;
    if (!known) throw new HoldfastError('unauthorized', 'Backend routes need Authorization: Bearer <API key>');
    next();
  };
}
