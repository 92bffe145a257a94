/** One request to the gateway's `/v1/auth`, and what its answer means. */
import type { ErrorCode } from '../../protocol/error-codes.js';
import { ClientError } from '../errors.js';
import type { Credentials } from './keeper.js';

export type Fetch = typeof globalThis.fetch;

export interface AuthRequest {
  /** Below `/v1/auth/`. */
  path: 'exchange' | 'refresh' | 'ticket' | 'me' | 'logout' | 'upstream';
  body?: object;
  credentials: Credentials;
}

/**
 * @returns the answer's JSON object; empty for an answer without a body
 * @throws ClientError with the gateway's code; `unreachable` when nobody answered or something between did, which says
 * nothing about the login
 */
export async function sendAuthRequest(
  fetch: Fetch,
  origin: string,
  { path, body, credentials: { credentials, authorization } }: AuthRequest,
  signal: AbortSignal,
): Promise<object> {
  let response: Response;
  let text: string;
  try {
    response = await fetch(`${origin}/v1/auth/${path}`, {
      method: path === 'me' ? 'GET' : 'POST',
      credentials,
      cache: 'no-store',
      redirect: 'error',
      signal,
      headers: {
        // A page of another origin can send this only after a preflight, which the gateway answers to those allowed.
        'X-Holdfast': '1',
        ...(authorization !== undefined && { Authorization: authorization }),
        ...(body && { 'Content-Type': 'application/json' }),
      },
      body: body ? JSON.stringify(body) : null,
    });
    text = await response.text();
  } catch (cause) {
    throw new ClientError('unreachable', `no answer to ${path}`, { cause });
  }
  const answer = parse(text);
  if (!response.ok) throw refusal(response, answer);
  if (answer === undefined) throw unexpected(path);
  return answer;
}

/** @throws ClientError `unexpected_answer` */
export function ticketOf(answer: { ticket?: unknown }): string {
  if (typeof answer.ticket === 'string') return answer.ticket;
  throw unexpected('ticket');
}

/** An answer that the gateway does not give. */
export function unexpected(asked: string): ClientError {
  return new ClientError('unexpected_answer', `the answer to ${asked} is not the gateway's`);
}

function parse(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text || '{}');
    return value instanceof Object ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

function refusal({ status, headers }: Response, answer: Record<string, unknown> | undefined): ClientError {
  const { code, detail, retryable, retry_after_ms: retryAfter } = answer ?? {};
  const headerMs = Number(headers.get('Retry-After')) * 1_000 || undefined;
  const askedMs = typeof retryAfter === 'number' ? retryAfter : headerMs;
  const retryAfterMs = askedMs && Math.max(0, askedMs);
  if (typeof code === 'string' && typeof retryable === 'boolean') {
    return new ClientError(code as ErrorCode, typeof detail === 'string' ? detail : code, { retryAfterMs, retryable });
  }
  // A proxy's own answer.
  const isPassing = status >= 500 || status === 429 || status === 408;
  return new ClientError(isPassing ? 'unreachable' : 'unexpected_answer', `HTTP ${status}`, { retryAfterMs });
}
