import { hash } from 'node:crypto';

/**
 * SHA-256 over labelled parts, unpadded base64url. The label separates domains, and each part's length is hashed with
 * it, so that no two lists of parts meet in one hash.
 */
export function sha256(label: string, ...parts: readonly string[]): string {
  let text = `holdfast:v1:${label}`;
  for (const part of parts) text += `:${Buffer.byteLength(part)}:${part}`;
  return hash('sha256', text, 'base64url');
}

/** A short stand-in for an id in logs: tells two apart, does not give the id away. */
export function logHandle(id: string): string {
  return sha256('log', id).slice(0, 12);
}
