/**
 * Every error the gateway answers with, on the wire and over HTTP. The code is stable; the message is for people
 * and may change. `retryable` says whether the same request can succeed later without the caller changing it.
 */
export const ERROR_CODES = {
  malformed_frame: { status: 400, retryable: false },
  invalid_field: { status: 400, retryable: false },
  unsupported_type: { status: 400, retryable: false },
  not_subscribed: { status: 409, retryable: false },
  already_subscribed: { status: 409, retryable: false },
  too_many_subscriptions: { status: 429, retryable: false },
  forbidden: { status: 403, retryable: false },
  unauthorized: { status: 401, retryable: false },
  origin_not_allowed: { status: 403, retryable: false },
  invalid_reconnect_token: { status: 409, retryable: false },
  reconnect_token_used: { status: 409, retryable: false },
  session_owned: { status: 409, retryable: false },
  session_held: { status: 409, retryable: true },
  session_busy: { status: 409, retryable: true },
  not_owner: { status: 409, retryable: false },
  ownership_unconfirmed: { status: 409, retryable: true },
  stale_epoch: { status: 409, retryable: false },
  connection_not_found: { status: 404, retryable: false },
  not_found: { status: 404, retryable: false },
  method_not_allowed: { status: 405, retryable: false },
  upgrade_required: { status: 426, retryable: false },
  payload_too_large: { status: 413, retryable: false },
  rate_limited: { status: 429, retryable: true },
  too_many_connections: { status: 429, retryable: true },
  draining: { status: 503, retryable: true },
  overloaded: { status: 503, retryable: true },
  store_unavailable: { status: 503, retryable: true },
  internal: { status: 500, retryable: true },
} as const satisfies Record<string, { status: number; retryable: boolean }>;

export type ErrorCode = keyof typeof ERROR_CODES;
