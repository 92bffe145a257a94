/** `holdfast-client`: sessions that one connection drives and many watch, over connections that come and go. */

export type { Position, PresenceMember } from '../protocol/messages.js';
export type { Abortable } from './abort.js';
export { type Client, type ClientEvents, type ClientOptions, createClient } from './client.js';
export type { ConnectionState } from './connection.js';
export type { ConnectionLogin } from './connection-login.js';
export { ClientError, type ClientErrorCode } from './errors.js';
export type { Message, MessageEvents, PresenceChange, Signal } from './incoming.js';
export type { MessagesOptions } from './message-stream.js';
export type { Content } from './payload.js';
export type { Session, SessionEvents, SessionOptions } from './session.js';
export { isSubscribed, type Ownership, type SessionState, type StopReason } from './session-state.js';
export type { SocketConstructor, SocketLike } from './socket.js';
export type { TokenStorage } from './storage.js';
