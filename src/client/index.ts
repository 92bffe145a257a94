/** `holdfast-client`: sessions that one connection drives and many watch, over connections that come and go. */

export type { LoginView as LoginInfo, UpstreamAccessToken } from '../protocol/http.js';
export type { Position, PresenceMember } from '../protocol/messages.js';
export type { Abortable } from './abort.js';
export { type Client, type ClientEvents, type ClientOptions, createClient } from './client.js';
export type { ConnectionState } from './connection.js';
export { type ConnectionLogin, createJwtLogin, type JwtLoginOptions } from './connection-login.js';
export { ClientError, type ClientErrorCode } from './errors.js';
export type { Message, MessageEvents, PresenceChange, Signal } from './incoming.js';
export { createLogin, type LoginClient } from './login.js';
export type { AccessToken } from './login-info.js';
export type { RefreshTokenStore } from './login-keeper.js';
export type { LoginEvents, LoginOptions } from './login-options.js';
export type { MessagesOptions } from './message-stream.js';
export type { Content } from './payload.js';
export type { Session, SessionEvents, SessionOptions } from './session.js';
export { isSubscribed, type Ownership, type SessionState, type StopReason } from './session-state.js';
export type { SocketConstructor, SocketLike } from './socket.js';
export type { TokenStorage } from './storage.js';
