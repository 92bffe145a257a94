/**
 * Close codes tell a client what to do by their range, so that a code it has never seen still works:
 * 4000–4099 stop; 4100–4199 back off and retry; 4200–4299 refresh the login, then reconnect.
 * 1001 and 1012 mean that the node restarts (reconnect as hinted); 1006 is a lost connection (reconnect).
 */
export const CLOSE_CODES = {
  restart: 1012,
  revoked: 4001,
  login_ended: 4002,
  token_reuse: 4003,
  protocol_violation: 4004,
  rate_limited: 4101,
  dependency_down: 4102,
  slow_consumer: 4103,
  no_pong: 4104,
  login_expired: 4201,
  bad_credential: 4202,
} as const;

export type CloseReason = keyof typeof CLOSE_CODES;

export type CloseAction = 'stop' | 'back_off' | 'refresh_login' | 'reconnect';

/** What a client does after a close with `code`. */
export function closeAction(code: number): CloseAction {
  if (code >= 4000 && code <= 4099) return 'stop';
  if (code >= 4100 && code <= 4199) return 'back_off';
  if (code >= 4200 && code <= 4299) return 'refresh_login';
  return 'reconnect';
}
