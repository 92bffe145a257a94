/** `holdfast-client/login`: who is connecting, by logins that the gateway keeps or by JWTs of the application. */

export type { LoginView as LoginInfo, UpstreamAccessToken } from '../../protocol/http.js';
export type { AccessToken } from './access-token.js';
export { createJwtLogin, type JwtLoginOptions } from './jwt-login.js';
export type { RefreshTokenStore } from './keeper.js';
export { createLogin, type LoginClient } from './login.js';
export type { LoginEvents, LoginOptions } from './options.js';
