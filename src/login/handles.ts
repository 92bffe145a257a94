/** How logins and principals are named, by callers and in stores. */
import { randomBytes } from 'node:crypto';
import { sha256 } from '../crypto/hash.js';

/** Names what makes up principals for connections without a credential; nobody logs in under it. */
const RESERVED_PREFIX = 'anon:';
/** Whole characters only: half of a surrogate pair cannot be written as UTF-8. */
const PRINCIPAL = /^\P{Cs}{1,256}$/su;
const LOGIN_ID = /^[A-Za-z0-9_~.-]{32,128}$/;

/** Ends the sentence "… must be". */
export const PRINCIPAL_RULE = `1 to 256 characters without space around them, not . or .., not beginning with ${RESERVED_PREFIX}`;
export const LOGIN_ID_RULE = '32 to 128 characters out of A-Z a-z 0-9 _ ~ . -';

export function isPrincipal(text: string): boolean {
  const isPlain = PRINCIPAL.test(text) && text.trim() === text && !text.startsWith(RESERVED_PREFIX);
  // Routes name principals in their paths, where these would be steps.
  return isPlain && text !== '.' && text !== '..';
}

/** True for an id that the application may choose; those made here are among them. */
export function isLoginId(text: string): boolean {
  return LOGIN_ID.test(text);
}

/** A login id out of 32 bytes, random by default. */
export function newLoginId(bytes: Buffer = randomBytes(32)): string {
  return `login_${bytes.toString('base64url')}`;
}

/** What stores, logs and nodes among each other call the login: `sha256:v1:<hex>`. */
export function loginHandle(loginId: string): string {
  return handleOf('login-id', loginId);
}

export function principalHandle(principal: string): string {
  return handleOf('principal', principal);
}

function handleOf(label: string, text: string): string {
  return `sha256:v1:${Buffer.from(sha256(label, text), 'base64url').toString('hex')}`;
}
