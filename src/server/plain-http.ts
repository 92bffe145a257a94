/** What middlewares need of plain `node:http`, so that they work in express, connect and without either. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ErrorCode } from '../protocol/error-codes.js';
import { HoldfastError } from '../protocol/errors.js';

/** What express and connect pass to a middleware. */
export interface Request extends IncomingMessage {
  /** The URL before a mount point was taken off it. */
  originalUrl?: string;
  /** What a body parser left. */
  body?: unknown;
  /** The client's address, as express sees it through trusted proxies. */
  ip?: string | undefined;
}

export type Middleware = (request: Request, response: ServerResponse, next?: (error?: unknown) => void) => void;

/** @throws HoldfastError `payload_too_large` */
export async function collect(chunks: AsyncIterable<Uint8Array>, maxBytes: number): Promise<Buffer<ArrayBuffer>> {
  const collected: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of chunks) {
    bytes += chunk.byteLength;
    if (bytes > maxBytes) throw tooLarge(maxBytes);
    collected.push(chunk);
  }
  return Buffer.concat(collected);
}

export function tooLarge(maxBytes: number): HoldfastError {
  return new HoldfastError('payload_too_large', `At most ${maxBytes} bytes are taken`);
}

/** Answers with a problem (RFC 9457). */
export function refuse(request: IncomingMessage, response: ServerResponse, error: HoldfastError): void {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  const { code, status, message, retryable, retryAfterMs, field } = error;
  response.setHeader('Content-Type', 'application/problem+json');
  response.setHeader('Cache-Control', 'no-store');
  if (retryAfterMs !== undefined) response.setHeader('Retry-After', Math.ceil(retryAfterMs / 1_000));
  // What is left of the body is not read: the connection cannot be used again.
  if (!request.readableEnded && request.method !== 'GET') response.setHeader('Connection', 'close');
  const wait = retryAfterMs !== undefined && { retry_after_ms: retryAfterMs };
  const problem = { type: 'about:blank', status, detail: message, code: code satisfies ErrorCode, retryable, ...wait };
  response.writeHead(status).end(JSON.stringify(field === undefined ? problem : { ...problem, field }));
}
