/** The page's files, and all of the page where the gateway is elsewhere. */
import type { RequestListener } from 'node:http';
import { fileURLToPath } from 'node:url';
import express, { type Response, Router } from 'express';
import type { Log } from '../lib/log.js';
import { HoldfastError } from '../protocol/errors.js';
import { errorHandler, sendProblem } from './answers.js';
import { SAFE_HEADERS } from './problem.js';
import { type PlaygroundOptions, playgroundRoutes } from './routes/playground.js';

/** Files under `directory`, served at `path`. */
export interface PageMount {
  path: string;
  directory: string;
}

/** The page itself and what it imports. */
const PARTS = ['', 'web', 'client', 'protocol', 'lib'];
// Not every browser counts ws: as 'self'.
const POLICY =
  "default-src 'self'; connect-src 'self' ws: wss:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/** @param built where the build put everything */
export function pageMounts(built: URL): PageMount[] {
  return PARTS.map((part) => ({ path: `/${part}`, directory: fileURLToPath(new URL(`./${part || 'web'}`, built)) }));
}

export function pageRoutes(mounts: readonly PageMount[]): Router {
  const router = Router();
  for (const { path, directory } of mounts) {
    const setHeaders = (response: Response) =>
      response.set({ ...SAFE_HEADERS, 'Cache-Control': 'no-cache', 'Content-Security-Policy': POLICY });
    router.use(path, express.static(directory, { redirect: false, dotfiles: 'ignore', setHeaders }));
  }
  return router;
}

/** The page without a gateway, for a load balancer that has gateways for everything else. */
export function pageListener(options: PlaygroundOptions & { page: readonly PageMount[]; log: Log }): RequestListener {
  const app = express();
  app.disable('x-powered-by');
  app.use(playgroundRoutes(options), pageRoutes(options.page));
  app.use((_request, response) => sendProblem(response, new HoldfastError('not_found', 'There is nothing here')));
  app.use(errorHandler(options.log));
  return app;
}
