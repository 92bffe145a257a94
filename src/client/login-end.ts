import { CLOSE_CODES } from '../protocol/close-codes.js';
import { ClientError, type ClientErrorCode } from './errors.js';

/** The answers after which only a person can log in again, each with the close code that means the same. */
const ENDS: Partial<Record<ClientErrorCode, number>> = {
  login_ended: CLOSE_CODES.login_ended,
  invalid_refresh_token: CLOSE_CODES.login_ended,
  no_login: CLOSE_CODES.login_ended,
  refresh_token_reused: CLOSE_CODES.token_reuse,
};

export function endsLogin(error: unknown): error is ClientError {
  return endOfLogin(error) !== undefined;
}

/** The close code that an error amounts to; undefined when the login may go on. */
export function endOfLogin(error: unknown): number | undefined {
  return error instanceof ClientError ? ENDS[error.code] : undefined;
}
