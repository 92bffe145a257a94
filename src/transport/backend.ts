/** The guard of the routes for the application's backend. */
import { hash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { RequestHandler } from 'express';
import { HoldfastError } from '../protocol/errors.js';
import { bearerToken } from './presented.js';

/** @throws HoldfastError `forbidden`, `unauthorized` */
export type BackendGuard = (request: IncomingMessage) => void;

/**
 * Backend routes are for servers: a browser could only have the key by mistake.
 * @param apiKeyHashes SHA-256 of each key; without any, everyone is refused
 */
export function backendGuard(apiKeyHashes: readonly Buffer[]): BackendGuard {
  return (request) => {
    if (request.headers.origin !== undefined) {
      throw new HoldfastError('forbidden', 'Backend routes take no requests from browsers');
    }
    const presented = hash('sha256', bearerToken(request) ?? '', 'buffer');
    let known = false;
    // Every key is compared in full, so that time tells nothing about them.
    for (const expected of apiKeyHashes) known = timingSafeEqual(expected, presented) || known;
    if (known) return;
    const why =
      apiKeyHashes.length === 0 ? 'This gateway has no API key' : 'Backend routes need Authorization: Bearer <API key>';
    throw new HoldfastError('unauthorized', why);
  };
}

export function backendOnly(guard: BackendGuard): RequestHandler {
  return (request, _response, next) => {
    guard(request);
    next();
  };
}
