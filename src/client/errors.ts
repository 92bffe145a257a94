import type { ErrorCode } from '../protocol/error-codes.js';

/**
 * `timeout`: no answer in time, the outcome is unknown. `queue_full`: too many operations or unread messages wait.
 * `stopped`: the session ended first. `connect_failed`: an attempt to connect could not even begin. `renewal_failed`:
 * `getAccessToken` failed when the connection's credential was to be renewed. `unreachable`: no answer of the gateway.
 * `unexpected_answer`: one that is not of its protocol. `superseded`: another tab changed the login meanwhile.
 */
export type ClientErrorCode =
  | ErrorCode
  | 'timeout'
  | 'queue_full'
  | 'stopped'
  | 'connect_failed'
  | 'renewal_failed'
  | 'unreachable'
  | 'unexpected_answer'
  | 'superseded';

/** Of the client's own codes; the gateway says it with each of its own. */
const RETRYABLE: ReadonlySet<ClientErrorCode> = new Set<ClientErrorCode>(['timeout', 'unreachable', 'superseded']);

export interface ClientErrorDetails {
  sessionId?: string | undefined;
  retryAfterMs?: number | undefined;
  /** What the gateway said of it. */
  retryable?: boolean | undefined;
  cause?: unknown;
}

/** What the gateway refused, or what the client could not do. `code` is stable, the message is for people. */
export class ClientError extends Error {
  readonly code: ClientErrorCode;
  readonly sessionId: string | undefined;
  /** How long to wait before the same makes sense again. */
  readonly retryAfterMs: number | undefined;
  /** Whether the same can succeed later. */
  readonly retryable: boolean;

  constructor(code: ClientErrorCode, message: string, details: ClientErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = 'ClientError';
    this.code = code;
    this.sessionId = details.sessionId;
    this.retryAfterMs = details.retryAfterMs;
    this.retryable = details.retryable ?? RETRYABLE.has(code);
  }
}
