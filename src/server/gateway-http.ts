/** Requests to the gateway's backend routes. */
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { fullJitterMs } from '../lib/backoff.js';
import { ERROR_CODES, type ErrorCode } from '../protocol/error-codes.js';
import { HoldfastError } from '../protocol/errors.js';

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
const BACKOFF = { baseMs: 100, capMs: 2_000 };

export class GatewayHttp {
  readonly #options: BackendOptions;
  readonly #base: string;
  readonly #fetch: typeof globalThis.fetch;

  /** @throws TypeError for a url that is none, or no key */
  constructor(options: BackendOptions) {
    if (!/^https?:\/\//.test(options.url)) throw new TypeError('url must begin with http:// or https://');
    if (options.apiKey === '') throw new TypeError('apiKey must not be empty');
    this.#options = options;
    this.#base = new URL(options.url).href.replace(/\/$/, '');
    this.#fetch = options.fetch ?? globalThis.fetch;
  }

  /** @throws HoldfastError with the gateway's code; `overloaded` when it could not be reached */
  async send(request: BackendRequest): Promise<unknown> {
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
          ...(body !== undefined && { 'Content-Type': 'application/json' }),
          ...(idempotencyKey !== undefined && { 'Idempotency-Key': idempotencyKey }),
        },
        ...(body !== undefined && { body: JSON.stringify(body) }),
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
