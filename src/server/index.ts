/** `holdfast/server`: logins, sessions, messages and webhooks for the application's backend. */
export { HoldfastError } from '../protocol/errors.js';
export { type AuthProxyOptions, authProxy } from './auth-proxy.js';
export { type Backend, createBackend } from './backend.js';
export type { BackendOptions } from './gateway-http.js';
export type { AddressedMessage, HistoryQuery, Messages } from './messages.js';
export type { Middleware } from './plain-http.js';
export { createPublisher, type Publisher } from './publisher.js';
export { createRedisPublisher, type RedisPublisherOptions, type RedisScriptClient } from './redis-publisher.js';
export type {
  CreatedLogin,
  HistoryPage,
  Login,
  LoginChange,
  LoginEvent,
  NewLogin,
  NewMessage,
  Published,
  PublishResult,
  RightsRule,
  SessionReport,
  SessionTarget,
  StoredMessage,
  Upstream,
  UpstreamAccessToken,
} from './types.js';
export {
  type AuthorizeRequest,
  type IdleEvent,
  type LoginRevokedEvent,
  type MessageRequest,
  type OwnershipEvent,
  type SignalEvent,
  verifyWebhook,
  type Webhook,
  type WebhookEvent,
  type WebhookHeaders,
} from './webhook.js';
export { type Rights, type Verdict, type WebhookReceiverOptions, webhookReceiver } from './webhook-receiver.js';
