/** What a message carries: any JSON value, or bytes. */
import type { Payload } from '../protocol/messages.js';

/** Of a received message: `bytes` where bytes were sent, else `data`. */
export type Content<T = unknown> =
  | { readonly data: T; readonly bytes?: never }
  | { readonly bytes: Uint8Array; readonly data?: never };

/**
 * A copy, which what the caller does with its own later cannot change.
 * @throws TypeError for what JSON cannot say
 */
export function payloadOf(content: unknown): Payload {
  if (content instanceof Uint8Array) {
    return { bytes: btoa(Array.from(content, (byte) => String.fromCharCode(byte)).join('')) };
  }
  const json = JSON.stringify(content) as string | undefined;
  if (json === undefined) throw new TypeError('a message is a JSON value or a Uint8Array');
  return { data: JSON.parse(json) as unknown };
}

export function contentOf(payload: Payload): Content {
  if (!('bytes' in payload)) return { data: payload.data };
  return { bytes: Uint8Array.from(atob(payload.bytes), (character) => character.charCodeAt(0)) };
}
