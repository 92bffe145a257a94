/** One request to the gateway's `/v1/auth`, and what its answer means. */
import { ERROR_CODES, type ErrorCode } from '../protocol/error-codes.js';
import { ClientError } from './errors.js';
import type { Credentials } from './login-keeper.js';

export type Fetch = typeof globalThis.fetch;

export interface AuthRequest {
  method: 'GET' | 'POST';
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
  { method, path, body, credentials: { credentials, authorization } }: AuthRequest,
  signal: AbortSignal,
): Promise<object> {
  let response: Response;
  let text: string;
  try {
    response = await fetch(`${origin}/v1/auth/${path}`, {
      method,
      credentials,
      cache: 'no-store',
      redirect: 'error',
      signal,
      headers: {
        // A page of another origin can send this only after a preflight, which the gateway answers to those allowed.
        'X-Holdfast': '1',
        ...(authorization !== undefined && { Authorization: authorization }),
        ...(body !== undefined && { 'Content-Type': 'application/json' }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    text = await response.text();
  } catch (cause) {
    throw new ClientError('unreachable', `no answer to ${path}`, { cause });
  }
  const answer = parse(text);
  if (!response.ok) throw refusal(response, answer);
  if (answer === undefined) throw new ClientError('unexpected_answer', `the answer to ${path} is not the gateway's`);
  return answer;
}

function parse(text: string): Record<string, unknown> | undefined {
  if (text === '') return {};
  try {
    const value: unknown = JSON.parse(text);
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
    return isObject ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

function refusal({ status, headers }: Response, answer: Record<string, unknown> | undefined): ClientError {
  const { code, detail, retry_after_ms: retryAfter } = answer ?? {};
  const header = Number(headers.get('Retry-After') ?? Number.NaN) * 1_000;
  const retryAfterMs = typeof retryAfter === 'number' ? retryAfter : Number.isFinite(header) ? header : undefined;
  if (typeof code === 'string' && Object.hasOwn(ERROR_CODES, code)) {
    return new ClientError(code as ErrorCode, typeof detail === 'string' ? detail : code, { retryAfterMs });
  }
  // A proxy's own answer, or a code that this client is too young for.
  const isPassing = status >= 500 || status === 429 || status === 408;
  return new ClientError(isPassing ? 'unreachable' : 'unexpected_answer', `HTTP ${status}`, { retryAfterMs });
}
