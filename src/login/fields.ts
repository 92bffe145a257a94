/** What the application may say of a login, checked, in the form in which stores keep it. */
import { HoldfastError } from '../protocol/errors.js';
import { refuse } from '../protocol/validate.js';
import { isLoginId, isPrincipal, LOGIN_ID_RULE, PRINCIPAL_RULE } from './handles.js';

const MAX_ATTRIBUTES_BYTES = 4096;

/** @throws HoldfastError `invalid_field` */
export function checkPrincipal(principal: string): void {
  if (!isPrincipal(principal)) refuse('principal', PRINCIPAL_RULE);
}

/** @throws HoldfastError `invalid_field` */
export function checkLoginId(loginId: string): void {
  if (!isLoginId(loginId)) refuse('login_id', LOGIN_ID_RULE);
}

/** @throws HoldfastError `invalid_field` */
export function attributesText(attributes: Record<string, unknown>): string {
  const text = JSON.stringify(attributes);
  if (Buffer.byteLength(text) > MAX_ATTRIBUTES_BYTES) {
    refuse('attributes', `at most ${MAX_ATTRIBUTES_BYTES} bytes of JSON`);
  }
  return text;
}

/** Whether it is in the future is the store's to say. @throws HoldfastError `invalid_field` */
export function checkExpiry(expiresAtMs: number): void {
  if (!Number.isSafeInteger(expiresAtMs) || expiresAtMs <= 0) throw invalidExpiry();
}

export function invalidExpiry(): HoldfastError {
  const message = 'expires_at must be a time in the future, in ms since 1970';
  return new HoldfastError('invalid_field', message, { field: 'expires_at' });
}
