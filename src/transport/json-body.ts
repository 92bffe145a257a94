/** Request bodies: a JSON object, or none. Of keys that occur twice the last counts. */
import { isUtf8 } from 'node:buffer';
import type { IncomingMessage } from 'node:http';
import type { RequestHandler } from 'express';
import { HoldfastError } from '../protocol/errors.js';
import { isObject, type JsonObject, refuse } from '../protocol/validate.js';

const KIB = 1024;
const MAX_BYTES = 16 * KIB;
const RULE = 'a JSON object (Content-Type: application/json), UTF-8';
/** RFC 8259 section 11 knows no parameter; `charset` is common, and JSON is UTF-8 whatever it says. */
const JSON_TYPE = /^application\/json[ \t]*(?:;|$)/i;

/**
 * The body of a request, empty where there is none.
 * @throws HoldfastError `invalid_field`, `payload_too_large`
 */
export async function readJson(request: IncomingMessage, maxBytes: number): Promise<JsonObject> {
  const { headers } = request;
  const length = Number(headers['content-length'] ?? 0);
  if (length === 0 && headers['transfer-encoding'] === undefined) return {};
  // A form or text is refused and not skipped: pages of any origin can send those without a preflight.
  if (!JSON_TYPE.test(headers['content-type'] ?? '')) refuse('body', RULE);
  if ((headers['content-encoding'] ?? 'identity') !== 'identity') refuse('Content-Encoding', 'absent');
  if (length > maxBytes) throw tooLarge(maxBytes);
  const bytes = await readBytes(request, maxBytes);
  if (bytes.length === 0) return {};
  const body = parsed(bytes);
  return isObject(body) ? body : refuse('body', RULE);
}

/** For routes of express; `bodyOf` gives what it read. */
export const jsonBody: readonly RequestHandler[] = [
  async (request, _response, next) => {
    request.body = await readJson(request, MAX_BYTES);
    next();
  },
];

/** What `jsonBody` read; empty on a route that reads none. */
export function bodyOf(request: { body: unknown }): JsonObject {
  return isObject(request.body) ? request.body : {};
}

function parsed(bytes: Buffer): unknown {
  if (!isUtf8(bytes)) refuse('body', RULE);
  try {
    return JSON.parse(bytes.toString());
  } catch {
    // The parser's own message quotes its input, which may hold a token.
    return refuse('body', RULE);
  }
}

function readBytes(request: IncomingMessage, maxBytes: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    request.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes <= maxBytes) {
        chunks.push(chunk);
      } else {
        // The rest is read and forgotten: who is still sending would not see the answer.
        chunks.length = 0;
        reject(tooLarge(maxBytes));
      }
    });
    request.once('end', () => resolve(Buffer.concat(chunks)));
    request.once('error', (cause) => reject(new HoldfastError('invalid_field', 'The body ends early', { cause })));
  });
}

function tooLarge(maxBytes: number): HoldfastError {
  return new HoldfastError('payload_too_large', `The body must be at most ${maxBytes / KIB} KiB`);
}
