/** `holdfast/server`: logins and sessions for the application's backend. */
export { HoldfastError } from '../protocol/errors.js';
export { type AuthProxyOptions, authProxy, type Middleware } from './auth-proxy.js';
export { type Backend, createBackend } from './backend.js';
export type { BackendOptions } from './gateway-http.js';
export type {
  CreatedLogin,
  Login,
  LoginChange,
  LoginEvent,
  NewLogin,
  RightsRule,
  SessionReport,
  SessionTarget,
  Upstream,
  UpstreamAccessToken,
} from './types.js';
