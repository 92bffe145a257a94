import type { CLOSE_CODES } from '../protocol/close-codes.js';
import { ClientError, type ClientErrorCode } from './errors.js';

// One by one, so that the table does not come along with them.
const REVOKED: (typeof CLOSE_CODES)['revoked'] = 4001;
export const LOGIN_ENDED: (typeof CLOSE_CODES)['login_ended'] = 4002;
const TOKEN_REUSE: (typeof CLOSE_CODES)['token_reuse'] = 4003;

/** The answers after which only a person can log in again, each with the close code that means the same. */
const ENDS: ReadonlyMap<ClientErrorCode, number> = new Map<ClientErrorCode, number>([
  ['login_ended', LOGIN_ENDED],
  ['invalid_refresh_token', LOGIN_ENDED],
  ['no_login', LOGIN_ENDED],
  ['refresh_token_reused', TOKEN_REUSE],
]);

/** The close code that an error amounts to; undefined when the login may go on. */
export function endOfLogin(error: unknown): number | undefined {
  return error instanceof ClientError ? ENDS.get(error.code) : undefined;
}

/** Whether a close code says that the login is over: what it owned is free then, and its tokens are worth nothing. */
export function isEndOfLogin(code: number | undefined): boolean {
  return code === REVOKED || code === LOGIN_ENDED || code === TOKEN_REUSE;
}
