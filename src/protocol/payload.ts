/** What a message may carry. */
import type { Payload, PayloadText } from './messages.js';
import { type JsonObject, own, refuse } from './validate.js';

/** Writers and readers of JSON recurse: what one takes must not end another. */
const MAX_DEPTH = 128;
const DATA_RULE = `JSON of at most ${MAX_DEPTH} levels, with no number beyond 1.8e308`;

/** The last group leaves no bits over, so that the same bytes are always the same text (RFC 4648 §3.5). */
const BASE64 = /^[A-Za-z0-9+/]*(?:[A-Za-z0-9+/]|[AEIMQUYcgkosw048]=|[AQgw]==)$/;
const BASE64_RULE = 'base64 (RFC 4648 §4) with padding';

/**
 * The payload of `object`: `data` or `bytes`. `path` is the path of `object`, empty at the top.
 * @throws HoldfastError `invalid_field`
 */
export function payloadOf(object: JsonObject, path = ''): Payload {
  const hasData = Object.hasOwn(object, 'data');
  const bytes = own(object, 'bytes');
  if (hasData === (bytes !== undefined)) refuse(`${path}data`, 'given, or bytes in its place');
  if (hasData) {
    const data = object['data'];
    return isCarried(data, MAX_DEPTH) ? { data } : refuse(`${path}data`, DATA_RULE);
  }
  return typeof bytes === 'string' && isBase64(bytes) ? { bytes } : refuse(`${path}bytes`, BASE64_RULE);
}

/** ASCII that JSON writes as it is: no quote, backslash or control character. */
export const PLAIN = /^[ !#-[\]-~]*$/;

/** A payload as the end of a frame. */
export function payloadText(payload: Payload): PayloadText {
  if ('bytes' in payload) return { text: `,"bytes":${JSON.stringify(payload.bytes)}}` };
  const { data } = payload;
  // In half the time that JSON.stringify takes, and its bytes are counted.
  if (typeof data !== 'string' || !PLAIN.test(data)) return { text: `,"data":${JSON.stringify(data)}}` };
  const text = `,"data":"${data}"}`;
  return { text, bytes: text.length };
}

/** The payload that `payloadText` made text of. */
export function parsedPayload({ text }: PayloadText): Payload {
  return JSON.parse(`{${text.slice(1)}`) as Payload;
}

function isBase64(text: string): boolean {
  return text === '' || (text.length % 4 === 0 && BASE64.test(text));
}

/** Whether what `JSON.parse` made can be written again: it makes Infinity of 1e999, which would be written as null. */
function isCarried(value: unknown, levels: number): boolean {
  if (typeof value === 'number') return Number.isFinite(value);
  if (typeof value !== 'object' || value === null) return true;
  return levels > 0 && Object.values(value).every((it) => isCarried(it, levels - 1));
}
