/** The gateway's backend routes as functions, for the application's server. */
import { type BackendOptions, GatewayHttp, newIdempotencyKey } from './gateway-http.js';
import { type Messages, messageCalls } from './messages.js';
import type {
  CreatedLogin,
  Login,
  LoginChange,
  LoginEvent,
  NewLogin,
  SessionReport,
  SessionTarget,
  Upstream,
  UpstreamAccessToken,
} from './types.js';

/**
 * All throw HoldfastError with the gateway's code, and `overloaded` when it could not be reached in time. What may be
 * sent twice is retried; the rest only where the gateway says that it has not begun.
 */
export interface Backend extends Messages {
  /**
   * Logs a principal in. Its page gets `login_code`, other clients `refresh_token`.
   * @param options `idempotencyKey` for a call that is itself repeated; one is made up for its retries
   * @throws `login_exists`, `too_many_logins`, `idempotency_conflict`, `invalid_field`
   */
  createLogin(login: NewLogin, options?: { idempotencyKey?: string }): Promise<CreatedLogin>;
  /** @throws `not_found` for one that is unknown or has ended */
  getLogin(loginId: string): Promise<Login>;
  /** What is given replaces what was there. @throws `not_found` */
  patchLogin(loginId: string, change: LoginChange): Promise<Login>;
  /** Ends it and closes its connections on every node. Again, it answers the same. @throws `not_found` */
  revokeLogin(loginId: string): Promise<Login>;
  listLogins(principal: string): Promise<Login[]>;
  /** @returns how many were revoked */
  revokeAllLogins(principal: string): Promise<number>;
  /** Oldest first. @throws `not_found` */
  loginEvents(loginId: string): Promise<LoginEvent[]>;
  /**
   * For the application's own JWTs: closes the principal's connections with one issued before `notBefore`, and refuses
   * such JWTs. Default: now, by this machine's clock.
   */
  disconnect(principal: string, notBefore?: number): Promise<void>;
  /** Replaces the login's grant at an upstream provider. @throws `not_found` */
  setUpstream(loginId: string, upstream: Upstream): Promise<void>;
  /** @throws `not_found`, `upstream_reauth_required`, `upstream_unavailable`, `upstream_busy`, `upstream_misconfigured` */
  upstreamToken(loginId: string): Promise<UpstreamAccessToken>;
  /**
   * Whose access token that is, asked of the gateway, so that a login that has ended is found out at once.
   * @throws `invalid_credential`, `login_ended`; `no_login` for the application's own JWT
   */
  loginOf(accessToken: string): Promise<Login>;
  getSession(sessionId: string): Promise<SessionReport>;
  /** Makes the target the owner, whoever is. @throws `connection_not_found` */
  setOwner(sessionId: string, target: SessionTarget): Promise<SessionReport>;
  removeOwner(sessionId: string): Promise<SessionReport>;
  /** Ends subscriptions: the target's, or all. */
  removeSubscriptions(sessionId: string, target?: SessionTarget): Promise<void>;
}

/** @throws TypeError for a url that is none, or no key */
export function createBackend(options: BackendOptions): Backend {
  const http = new GatewayHttp(options);
  const repeatable = true;
  return {
    ...messageCalls(http),
    createLogin: async (body, { idempotencyKey = newIdempotencyKey() } = {}) =>
      (await http.send({ method: 'POST', path: ['logins'], body, repeatable, idempotencyKey })) as CreatedLogin,
    getLogin: async (id) => (await http.send({ method: 'GET', path: ['logins', id], repeatable })) as Login,
    patchLogin: async (id, body) =>
      (await http.send({ method: 'PATCH', path: ['logins', id], body, repeatable })) as Login,
    revokeLogin: async (id) => (await http.send({ method: 'DELETE', path: ['logins', id], repeatable })) as Login,
    listLogins: async (principal) => {
      const answer = await http.send({ method: 'GET', path: ['principals', principal, 'logins'], repeatable });
      return (answer as { logins: Login[] }).logins;
    },
    revokeAllLogins: async (principal) => {
      const answer = await http.send({ method: 'DELETE', path: ['principals', principal, 'logins'], repeatable });
      return (answer as { revoked: number }).revoked;
    },
    loginEvents: async (id) => {
      const answer = await http.send({ method: 'GET', path: ['logins', id, 'events'], repeatable });
      return (answer as { events: LoginEvent[] }).events;
    },
    disconnect: async (principal, notBefore = Date.now()) => {
      // The time is fixed here, so that a retry does not reach whoever logged in meanwhile.
      const body = { not_before: notBefore };
      await http.send({ method: 'POST', path: ['principals', principal, 'disconnect'], body, repeatable });
    },
    setUpstream: async (id, body) => {
      // Sent twice, the second could put a token that the gateway has spent already over its successor.
      await http.send({ method: 'PUT', path: ['logins', id, 'upstream'], body, repeatable: false });
    },
    upstreamToken: async (id) =>
      (await http.send({ method: 'POST', path: ['logins', id, 'upstream'], repeatable })) as UpstreamAccessToken,
    loginOf: async (accessToken) =>
      (await http.send({ method: 'GET', path: ['auth', 'me'], repeatable, accessToken })) as Login,
    getSession: async (id) => (await http.send({ method: 'GET', path: ['sessions', id], repeatable })) as SessionReport,
    // Of changes of ownership a late repeat would undo what happened meanwhile.
    setOwner: async (id, body) =>
      (await http.send({ method: 'PUT', path: ['sessions', id, 'owner'], body, repeatable: false })) as SessionReport,
    removeOwner: async (id) =>
      (await http.send({ method: 'DELETE', path: ['sessions', id, 'owner'], repeatable: false })) as SessionReport,
    removeSubscriptions: async (id, target) => {
      const query = target && { query: { ...target } };
      await http.send({ method: 'DELETE', path: ['sessions', id, 'subscriptions'], ...query, repeatable: false });
    },
  };
}
