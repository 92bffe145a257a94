/** `/holdfast.js`: the client as one script, for pages without a build. */
import { createHash } from 'node:crypto';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';
import { Router } from 'express';
import { methodNotAllowed } from '../answers.js';

/** Pages ask whether theirs is still the newest, so that a script never outlives the gateway it came with by much. */
const HEADERS = {
  'Content-Type': 'text/javascript; charset=utf-8',
  'Cache-Control': 'no-cache',
  Vary: 'Accept-Encoding',
  'X-Content-Type-Options': 'nosniff',
  // Pages of other origins include it, with `crossorigin` or without.
  'Access-Control-Allow-Origin': '*',
  'Cross-Origin-Resource-Policy': 'cross-origin',
};

/** @param script small enough to be kept in memory in each encoding */
export function clientScriptRoutes(script: Buffer): Router {
  const bodies: Readonly<Record<string, Buffer>> = {
    br: brotliCompressSync(script, { params: { [constants.BROTLI_PARAM_SIZE_HINT]: script.length } }),
    gzip: gzipSync(script, { level: constants.Z_BEST_COMPRESSION }),
  };
  const digest = createHash('sha256').update(script).digest('base64url').slice(0, 22);
  const router = Router();
  router
    .route('/holdfast.js')
    .get((request, response) => {
      const encoding = request.acceptsEncodings(['br', 'gzip', 'identity']);
      const body = encoding === false ? undefined : bodies[encoding];
      response.set({ ...HEADERS, ETag: `W/"${digest}"` });
      if (body !== undefined) response.set('Content-Encoding', String(encoding));
      if (request.fresh) response.status(304).end();
      else response.send(body ?? script);
    })
    .all(methodNotAllowed('GET, HEAD'));
  return router;
}
