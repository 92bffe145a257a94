import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';

/** SHA-256 of the key of those who operate the node. */
export type AdminKey = Buffer;

export function adminKey(key: string): AdminKey {
  return createHash('sha256').update(key).digest();
}

export interface Refusal {
  status: 401 | 403;
  text: string;
  headers: Record<string, string>;
}

const BEARER = /^Bearer ([\x21-\x7e]+)$/i;

/** Why a request may change nothing, or undefined. */
export function refusalOf({ authorization, origin }: IncomingHttpHeaders, key?: AdminKey): Refusal | undefined {
  if (origin !== undefined) return { status: 403, text: 'Not for web pages', headers: {} };
  if (key === undefined) {
    const text = 'Set HOLDFAST_ADMIN_KEY to allow this; `holdfast keygen --admin-key` prints one';
    return { status: 403, text, headers: {} };
  }
  const [, presented = ''] = BEARER.exec(authorization ?? '') ?? [];
  if (timingSafeEqual(adminKey(presented), key)) return undefined;
  return {
    status: 401,
    text: 'Needs Authorization: Bearer and the admin key',
    headers: { 'WWW-Authenticate': 'Bearer' },
  };
}
