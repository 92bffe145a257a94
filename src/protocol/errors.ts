import { ERROR_CODES, type ErrorCode } from './error-codes.js';

export interface ErrorDetails {
  /** The field of the request that is wrong, as a path such as `sessions[2].session_id`. */
  field?: string;
  /** How long the caller should wait before it tries again. */
  retryAfterMs?: number;
  cause?: unknown;
}

/** An error that a caller is meant to see. Anything else that is thrown is answered as `internal`. */
export class HoldfastError extends Error {
  readonly code: ErrorCode;
  readonly field: string | undefined;
  readonly retryAfterMs: number | undefined;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = 'HoldfastError';
    this.code = code;
    this.field = details.field;
    this.retryAfterMs = details.retryAfterMs;
  }

  get retryable(): boolean {
    return ERROR_CODES[this.code].retryable;
  }

  get status(): number {
    return ERROR_CODES[this.code].status;
  }
}
