/** Errors over HTTP, as RFC 9457 problem details. */
import { STATUS_CODES } from 'node:http';
import type { HoldfastError } from '../protocol/errors.js';

/** For everything that is not a page: nothing is cached, sniffed, framed or run. */
export const SAFE_HEADERS: Readonly<Record<string, string>> = {
  'Cache-Control': 'no-store',
  'Content-Security-Policy': "default-src 'none'; frame-ancestors 'none'",
  'Referrer-Policy': 'no-referrer',
  'X-Content-Type-Options': 'nosniff',
};

/** For 503 and 429 that do not say. */
const DEFAULT_RETRY_MS = 1_000;
/** RFC 6750 §3: whether there was no credential or a bad one. The problem's code says what is wrong with it. */
const REFUSED = 'Bearer error="invalid_token"';

export interface Problem {
  status: number;
  title: string;
  headers: Record<string, string>;
  body: string;
}

export function problemOf(error: HoldfastError): Problem {
  const { code, status, retryable, field, message } = error;
  const title = STATUS_CODES[status] ?? code;
  const isBusy = retryable && (status === 503 || status === 429);
  const retryAfterMs = error.retryAfterMs ?? (isBusy ? DEFAULT_RETRY_MS : undefined);
  return {
    status,
    title,
    headers: {
      ...SAFE_HEADERS,
      'Content-Type': 'application/problem+json',
      ...(retryAfterMs === undefined ? {} : { 'Retry-After': String(Math.ceil(retryAfterMs / 1000)) }),
      ...(status === 401 ? { 'WWW-Authenticate': code === 'unauthorized' ? 'Bearer' : REFUSED } : {}),
    },
    body: JSON.stringify({
      type: 'about:blank',
      title,
      status,
      detail: message,
      code,
      retryable,
      ...(retryAfterMs === undefined ? {} : { retry_after_ms: retryAfterMs }),
      ...(field === undefined ? {} : { field }),
    }),
  };
}
