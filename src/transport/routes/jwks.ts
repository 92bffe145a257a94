/** The keys by which others verify access tokens (RFC 7517 §5). */
import { Router } from 'express';
import { methodNotAllowed } from '../answers.js';

/** A new key is deployed to verify before it signs, so a copy may be a few minutes old. */
const CACHE_SECONDS = 300;

export function jwksRoutes(jwks: () => object): Router {
  const router = Router();
  router
    .route('/.well-known/jwks.json')
    .get((_request, response) => {
      const headers = { 'Cache-Control': `public, max-age=${CACHE_SECONDS}`, 'Access-Control-Allow-Origin': '*' };
      response.set(headers).json(jwks());
    })
    .all(methodNotAllowed('GET, HEAD'));
  return router;
}
