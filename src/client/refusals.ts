import type { ErrorCode } from '../protocol/error-codes.js';
import type { ServerMessage } from '../protocol/messages.js';
import { ClientError } from './errors.js';

export type ErrorMessage = Extract<ServerMessage, { type: 'error' }>;

/** A held session is retryable too, but that is the application's to decide. */
const TRIED_AGAIN: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'session_busy',
  'store_unavailable',
  'rate_limited',
  'ownership_unconfirmed',
  'draining',
  'internal',
]);
const TOKEN_CODES: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['invalid_reconnect_token', 'reconnect_token_used']);

/** What the application is told of a refusal. */
export function refusalOf(refused: ErrorMessage, sessionId?: string): ClientError {
  const { code, message, retryable, retry_after_ms: retryAfterMs } = refused;
  return new ClientError(code, message, { sessionId, retryable, retryAfterMs });
}

/** True where the client sends an operation again by itself. */
export function isTriedAgain({ code }: ErrorMessage): boolean {
  return TRIED_AGAIN.has(code);
}

/** True where a subscription may be granted without its reconnect token. */
export function isOfToken({ code, field }: ErrorMessage): boolean {
  return TOKEN_CODES.has(code) || field?.endsWith('reconnect_token') === true;
}
