/** The public port's plain HTTP: the routes, and the page where one is given. */
import type { RequestListener } from 'node:http';
import express, { type Express } from 'express';
import { type Clock, systemClock } from '../lib/clock.js';
import type { Log } from '../lib/log.js';
import type { LoginApi } from '../login/api.js';
import { HoldfastError } from '../protocol/errors.js';
import { errorHandler, safeHeaders, sendProblem } from './answers.js';
import { backendGuard, backendOnly } from './backend.js';
import { cors } from './cors.js';
import type { OriginPolicy } from './origin.js';
import { type PageMount, pageRoutes } from './page.js';
import { authRoutes } from './routes/auth.js';
import { clientScriptRoutes } from './routes/client-script.js';
import { historyRoutes } from './routes/history.js';
import { jwksRoutes } from './routes/jwks.js';
import { loginRoutes } from './routes/logins.js';
import { publishRoute } from './routes/messages.js';
import { playgroundRoutes } from './routes/playground.js';
import { disconnectRoutes, principalRoutes } from './routes/principals.js';
import { sessionRoutes } from './routes/sessions.js';
import { ticketRoutes } from './routes/tickets.js';
import type { SessionsApi } from './sessions-api.js';
import { CONNECT_PATH } from './upgrade.js';

export interface HttpOptions {
  sessions: SessionsApi;
  /** Absent where nobody has a credential; then there are no routes for them. */
  logins?: LoginApi;
  /**
   * Whether there are logins beside the application's own JWTs (default: true). Without, only the routes for tickets and
   * for disconnecting a principal are there.
   */
  managesLogins?: boolean;
  /** The public keys of access tokens, as a JWK set. */
  jwks?: () => object;
  /** Which pages may use `/v1/auth`. */
  origins: OriginPolicy;
  /** SHA-256 of each API key of the application's backend; without any, its routes refuse everyone. */
  apiKeyHashes: readonly Buffer[];
  /** The client as one script; absent where it was not built. */
  clientScript?: Buffer;
  /** The page, for development. */
  page: readonly PageMount[];
  log: Log;
  clock?: Clock;
}

/** Everything: what express handles, and before it the one route for which that is too slow. */
export function httpListener(options: HttpOptions): RequestListener {
  const app = httpApp(options);
  const publish = publishRoute(options.sessions, backendGuard(options.apiKeyHashes), options.log);
  return (request, response) => {
    if (!publish(request, response)) app(request, response);
  };
}

export function httpApp(options: HttpOptions): Express {
  const {
    sessions,
    logins,
    managesLogins = true,
    jwks,
    origins,
    apiKeyHashes,
    clientScript,
    page,
    log,
    clock = systemClock,
  } = options;
  const guard = backendOnly(backendGuard(apiKeyHashes));
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.use('/v1', safeHeaders);
  app.use('/.well-known', safeHeaders);

  app.all(CONNECT_PATH, (_request, response) => {
    const error = new HoldfastError('upgrade_required', 'This address speaks WebSocket only');
    sendProblem(response, error, { Upgrade: 'websocket', Connection: 'Upgrade' });
  });

  app.use('/v1/sessions', guard);
  app.use(sessionRoutes(sessions), historyRoutes(sessions));
  if (logins !== undefined) {
    app.use('/v1/auth', cors(origins));
    app.use('/v1/principals', guard);
    app.use(ticketRoutes(logins), disconnectRoutes(logins, clock));
  }
  if (logins !== undefined && managesLogins) {
    app.use('/v1/logins', guard);
    app.use(authRoutes(logins, clock), loginRoutes(logins, origins), principalRoutes(logins));
  }
  if (jwks !== undefined) app.use(jwksRoutes(jwks));
  if (clientScript !== undefined) app.use(clientScriptRoutes(clientScript));
  if (page.length > 0) {
    app.use(playgroundRoutes({ origins, ...(logins !== undefined && managesLogins && { logins }) }), pageRoutes(page));
  }

  app.use((_request, response) => sendProblem(response, new HoldfastError('not_found', 'There is nothing here')));
  app.use(errorHandler(log));
  return app;
}
