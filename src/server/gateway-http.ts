/** Requests to the gateway's backend routes. */
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { fullJitterMs } from '../lib/backoff.js';
import { ERROR_CODES, type ErrorCode } from '../protocol/error-codes.js';
import { HoldfastError } from '../protocol/errors.js';
import { baseUrl } from './base-url.js';

export interface BackendOptions {
  /** The gateway, such as `https://gateway.internal:8080`. */
  url: string;
  apiKey: string;
  fetch?: typeof globalThis.fetch;
  /** For one request. Default 5 000 ms. */
  requestTimeoutMs?: number;
  /** For a call with its retries. Default 15 000 ms. */
  timeoutMs?: number;
}

export interface BackendRequest {
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Below `/v1/`, each part encoded. */
  path: readonly string[];
  query?: Record<string, string>;
  body?: object;
  /** Sent twice it does no more than sent once, so that a lost answer is no reason to give up. */
  repeatable: boolean;
  idempotencyKey?: string;
  /** Instead of the API key. */
  accessToken?: string;
}

/** The gateway says that it has not begun: trying again repeats nothing. */
const NOT_BEGUN: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['rate_limited', 'draining', 'overloaded']);
/** What no header refuses. */
const VISIBLE = /^[\x21-\x7e]+$/;
/** A URL cannot name it: it would mean another path. */
const NO_SEGMENT = /^\.{0,2}$/;
const BACKOFF = { baseMs: 100, capMs: 2_000 };

export class GatewayHttp {
  readonly #options: BackendOptions;
  readonly #base: string;
  readonly #fetch: typeof globalThis.fetch;

  /** @throws TypeError for a url that is none, or no key */
  constructor(options: BackendOptions) {
    // Whoever refuses a header names its value in the error.
    if (!VISIBLE.test(options.apiKey)) throw new TypeError('apiKey must be visible ASCII characters, and not be empty');
    this.#options = options;
    this.#base = baseUrl(options.url);
    this.#fetch = options.fetch ?? globalThis.fetch;
  }

  /**
   * @throws HoldfastError with the gateway's code; `overloaded` when it could not be reached
   * @throws TypeError for a body that is no JSON
   */
  async send(request: BackendRequest): Promise<unknown> {
    check(request);
    const { requestTimeoutMs = 5_000, timeoutMs = 15_000 } = this.#options;
    const endMs = performance.now() + timeoutMs;
    for (let attempt = 0; ; attempt++) {
      const outcome = await this.#attempt(request, Math.min(requestTimeoutMs, endMs - performance.now()));
      if (!('error' in outcome)) return outcome.answer;
      const { error, answered } = outcome;
      const again = answered && NOT_BEGUN.has(error.code) ? true : request.repeatable && error.retryable;
      const waitMs = (error.retryAfterMs ?? 0) + fullJitterMs(attempt, BACKOFF);
      if (!again || performance.now() + waitMs >= endMs) throw error;
      await delay(waitMs);
    }
  }

  async #attempt(
    { method, path, query, body, idempotencyKey, accessToken }: BackendRequest,
    timeoutMs: number,
  ): Promise<{ answer: unknown } | { error: HoldfastError; answered: boolean }> {
    const search = query === undefined ? '' : `?${new URLSearchParams(query).toString()}`;
    const content = body && JSON.stringify(body);
    const url = `${this.#base}/v1/${path.map(encodeURIComponent).join('/')}${search}`;
    let response: Response;
    let text: string;
    try {
      response = await this.#fetch(url, {
        method,
        redirect: 'error',
        signal: AbortSignal.timeout(Math.max(1, Math.ceil(timeoutMs))),
        headers: {
          Authorization: `Bearer ${accessToken ?? this.#options.apiKey}`,
          ...(content !== undefined && { 'Content-Type': 'application/json' }),
          ...(idempotencyKey !== undefined && { 'Idempotency-Key': idempotencyKey }),
        },
        ...(content !== undefined && { body: content }),
      });
      text = await response.text();
    } catch (cause) {
      return { error: new HoldfastError('overloaded', 'The gateway could not be reached', { cause }), answered: false };
    }
    const answer = parse(text);
    if (response.ok && answer !== undefined) return { answer };
    return { error: errorOf(response, answer), answered: true };
  }
}

/** What cannot even be sent is not worth a retry. @throws HoldfastError */
function check({ path, accessToken, idempotencyKey }: BackendRequest): void {
  const field = path[0] === 'principals' ? 'principal' : path[0] === 'sessions' ? 'session_id' : 'login_id';
  if (path.some((part) => NO_SEGMENT.test(part))) {
    throw new HoldfastError('invalid_field', `${field} must not be empty, . or ..`, { field });
  }
  if (accessToken !== undefined && !VISIBLE.test(accessToken)) {
    throw new HoldfastError('invalid_credential', 'this is no access token');
  }
  if (idempotencyKey !== undefined && !VISIBLE.test(idempotencyKey)) {
    const message = 'idempotencyKey must be visible ASCII characters';
    throw new HoldfastError('invalid_field', message, { field: 'Idempotency-Key' });
  }
}

/** A key under which the gateway knows a repeated request. */
export function newIdempotencyKey(): string {
  return randomUUID();
}

function parse(text: string): Record<string, unknown> | undefined {
  if (text === '') return {};
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

/** A problem's error; for an answer that is not the gateway's (a load balancer's page), one by its status. */
function errorOf({ status, headers }: Response, answer: Record<string, unknown> = {}): HoldfastError {
  const { code, detail, field, retry_after_ms: retryAfter } = answer;
  const header = Number(headers.get('Retry-After') ?? Number.NaN) * 1_000;
  const retryAfterMs = typeof retryAfter === 'number' ? retryAfter : header;
  const details = {
    ...(typeof field === 'string' && { field }),
    ...(Number.isFinite(retryAfterMs) && { retryAfterMs }),
  };
  const isKnown = typeof code === 'string' && Object.hasOwn(ERROR_CODES, code);
  const message = typeof detail === 'string' ? detail : `The gateway answered HTTP ${status}`;
  return new HoldfastError(isKnown ? (code as ErrorCode) : codeOf(status), message, details);
}

function codeOf(status: number): ErrorCode {
  const codes: Partial<Record<number, ErrorCode>> = {
    401: 'unauthorized',
    403: 'forbidden',
    404: 'not_found',
    413: 'payload_too_large',
    429: 'rate_limited',
  };
  return codes[status] ?? (status >= 400 && status < 500 ? 'invalid_field' : 'internal');
}
