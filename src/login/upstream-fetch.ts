import { once } from 'node:events';
import { type ClientRequest, type IncomingMessage, request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import { checkLiteral, ForbiddenAddressError, guardedLookup } from './upstream-guard.js';

const MAX_BODY_BYTES = 65_536;
/** Statuses whose responses have no body, for which `Response` takes none. */
const BODILESS = new Set([204, 205, 304]);

/** There is no answer. `notSent`: the provider cannot have seen the request. */
export class NoAnswerError extends Error {
  override readonly name = 'NoAnswerError';
  readonly notSent: boolean;
  /** The address was refused here, which the operator has to know. */
  readonly forbidden: boolean;

  constructor(reason: string, about: { notSent: boolean; forbidden?: boolean }) {
    super(reason);
    this.notSent = about.notSent;
    this.forbidden = about.forbidden ?? false;
  }
}

export interface PostOptions {
  method: string;
  headers: Record<string, string>;
  body: string;
  /** For all of it: name, connection, TLS, answer. */
  timeoutMs: number;
  allowLoopback: boolean;
}

/**
 * Sends one request over a connection of its own, so that it is known whether it can have arrived: a kept connection
 * may die while it is being reused. Follows no redirect, and reads at most 64 KiB.
 * @throws NoAnswerError
 */
export async function send(url: URL, options: PostOptions): Promise<Response> {
  if (options.timeoutMs <= 0) throw new NoAnswerError('no time left', { notSent: true });
  let connected = false;
  let request: ClientRequest | undefined;
  const timeout = new AbortController();
  const abort = () => timeout.abort();
  // After a stall of this process the timer is late. An answer may lie here unread, and is read before an immediate
  // runs; but what is not sent by now must not be sent in that moment either, since others may have taken over.
  const timer = setTimeout(() => (connected ? setImmediate(abort) : abort()), options.timeoutMs);
  try {
    request = open(url, options, timeout.signal);
    // Bytes of the request are written from here on; with TLS only after the handshake.
    request.once('socket', (socket) => {
      socket.once(url.protocol === 'https:' ? 'secureConnect' : 'connect', () => {
        connected = true;
      });
    });
    const answered = once(request, 'response') as Promise<[IncomingMessage]>;
    // It may fail again after the answer began, and what reads that is told.
    request.on('error', () => {});
    request.end(options.body);
    return await read((await answered)[0]);
  } catch (error) {
    const reason = timeout.signal.aborted ? 'no answer in time' : reasonOf(error as Error);
    throw new NoAnswerError(reason, { notSent: !connected, forbidden: error instanceof ForbiddenAddressError });
  } finally {
    clearTimeout(timer);
    request?.destroy();
  }
}

function open(url: URL, { method, headers, body, allowLoopback }: PostOptions, signal: AbortSignal): ClientRequest {
  checkLiteral(url, allowLoopback);
  const request = url.protocol === 'https:' ? requestHttps : requestHttp;
  const allHeaders = { ...headers, 'content-length': Buffer.byteLength(body) };
  return request(url, { method, headers: allHeaders, signal, agent: false, lookup: guardedLookup(allowLoopback) });
}

async function read(answer: IncomingMessage): Promise<Response> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MAX_BODY_BYTES) throw new Error('the answer is too long');
    chunks.push(chunk);
  }
  const status = answer.statusCode ?? 0;
  const headers = new Headers();
  for (const [name, values] of Object.entries(answer.headersDistinct)) {
    for (const value of values ?? []) headers.append(name, value);
  }
  return new Response(BODILESS.has(status) ? null : withoutIdToken(Buffer.concat(chunks)), { status, headers });
}

/** Nothing here uses an ID token, so a fault in one must not cost the refresh token beside it. */
function withoutIdToken(body: Buffer): string {
  const text = body.toString('utf8');
  if (!text.includes('"id_token"')) return text;
  try {
    return JSON.stringify(JSON.parse(text), (key, value: unknown) => (key === 'id_token' ? undefined : value));
  } catch {
    return text;
  }
}

/** The code of a system error, which names no host; else the text, of this file or of Node. */
function reasonOf(error: Error): string {
  const { code } = error as { code?: unknown };
  return typeof code === 'string' ? code : error.message;
}
