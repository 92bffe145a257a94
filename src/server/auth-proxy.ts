/**
 * The gateway's `/v1/auth` under the application's own origin, so that the cookie is the application's own where the
 * gateway is on another site.
 */
import type { ServerResponse } from 'node:http';
import { HoldfastError } from '../protocol/errors.js';
import { baseUrl } from './base-url.js';
import { collect, type Middleware, type Request, refuse, tooLarge } from './plain-http.js';

export interface AuthProxyOptions {
  /** The gateway, such as `https://gateway.internal:8080`. */
  url: string;
  fetch?: typeof globalThis.fetch;
  /** For one request, from its first byte to the answer's last. Default 10 000 ms. */
  timeoutMs?: number;
}

const METHODS = new Map([
  ['/v1/auth/exchange', 'POST'],
  ['/v1/auth/refresh', 'POST'],
  ['/v1/auth/ticket', 'POST'],
  ['/v1/auth/logout', 'POST'],
  ['/v1/auth/upstream', 'POST'],
  ['/v1/auth/me', 'GET'],
]);
const MAX_BYTES = 64 * 1_024;
/** The gateway's cookie: the application's others are none of its business, nor the other way round. */
const COOKIE = /^\s*__Host-holdfast=/;
const REQUEST_HEADERS = ['authorization', 'content-type', 'idempotency-key', 'origin', 'sec-fetch-site', 'x-holdfast'];
const RESPONSE_HEADERS = ['cache-control', 'content-type', 'retry-after', 'vary', 'www-authenticate'];

/**
 * A middleware for express, connect and plain `node:http`. It answers the six paths of `/v1/auth` and passes everything
 * else on to `next`.
 * @throws TypeError for a url that is none
 */
export function authProxy({ url, fetch = globalThis.fetch, timeoutMs = 10_000 }: AuthProxyOptions): Middleware {
  const base = baseUrl(url);

  async function forward(request: Request, response: ServerResponse, path: string): Promise<void> {
    const signal = AbortSignal.timeout(timeoutMs);
    const body = await inTime(bodyOf(request), signal);
    let answer: Response;
    let content: Buffer;
    try {
      answer = await fetch(`${base}${path}`, {
        method: request.method ?? 'GET',
        headers: forwardedHeaders(request),
        redirect: 'manual',
        signal,
        ...(body !== undefined && body.length > 0 && { body }),
      });
      content = await contentOf(answer);
    } catch (cause) {
      throw new HoldfastError('overloaded', 'The gateway did not answer as it should', { cause, retryAfterMs: 1_000 });
    }
    for (const name of RESPONSE_HEADERS) {
      const value = answer.headers.get(name);
      if (value !== null) response.setHeader(name, value);
    }
    const cookies = answer.headers.getSetCookie().filter((cookie) => COOKIE.test(cookie));
    if (cookies.length > 0) response.appendHeader('Set-Cookie', cookies);
    response.writeHead(answer.status).end(content);
  }

  return (request, response, next) => {
    const path = pathOf(request);
    const method = METHODS.get(path);
    if (method === undefined) {
      if (next !== undefined) return next();
      return refuse(request, response, new HoldfastError('not_found', 'There is nothing here'));
    }
    if (request.method !== method) {
      response.setHeader('Allow', method);
      return refuse(request, response, new HoldfastError('method_not_allowed', `Only ${method} is possible here`));
    }
    forward(request, response, path).catch((error: unknown) => {
      const known = error instanceof HoldfastError ? error : new HoldfastError('internal', 'The proxy failed');
      refuse(request, response, known);
    });
  };
}

function pathOf({ originalUrl, url = '' }: Request): string {
  return (originalUrl ?? url).split('?', 1)[0] ?? '';
}

function forwardedHeaders(request: Request): Headers {
  const headers = new Headers();
  for (const name of REQUEST_HEADERS) {
    // All that there are: that there is one of each is for the gateway to check.
    for (const value of request.headersDistinct[name] ?? []) headers.append(name, value);
  }
  const cookies = (request.headers.cookie ?? '').split(';').filter((cookie) => COOKIE.test(cookie));
  if (cookies.length > 0) headers.set('cookie', cookies.join(';').trim());
  const address = request.ip ?? request.socket.remoteAddress;
  if (address !== undefined) headers.set('x-forwarded-for', address);
  return headers;
}

/** @throws HoldfastError `payload_too_large` */
async function bodyOf(request: Request): Promise<Buffer<ArrayBuffer> | undefined> {
  const { method, body, headers } = request;
  const length = Number(headers['content-length'] ?? 0);
  // Some parsers leave an empty object where there was nothing to parse.
  if (method === 'GET' || (length === 0 && headers['transfer-encoding'] === undefined)) return undefined;
  if (length > MAX_BYTES) throw tooLarge(MAX_BYTES);
  if (!request.readableEnded && body === undefined) return collect(request, MAX_BYTES);
  if (typeof body === 'string' || Buffer.isBuffer(body)) return Buffer.from(body);
  return body === undefined ? undefined : Buffer.from(JSON.stringify(body));
}

async function contentOf(answer: Response): Promise<Buffer> {
  return answer.body === null ? Buffer.alloc(0) : collect(answer.body, MAX_BYTES);
}

/** A client that sends its body too slowly is not waited for. */
async function inTime<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const late = () => reject(new HoldfastError('invalid_field', 'The body did not arrive in time', { field: 'body' }));
    signal.addEventListener('abort', late, { once: true });
    work.then(resolve, reject);
  });
}
