/** How a connection gets the credential of each attempt. */
import { bounded } from './bounded.js';
import { ClientError } from './errors.js';
import { gatewayOrigin } from './gateway-origin.js';
import { type Fetch, sendAuthRequest } from './login-http.js';
import { originOfPage } from './page.js';

export interface ConnectionLogin {
  /** A fresh ticket, for one attempt. */
  ticket(): Promise<string>;
  /** The gateway closed because the credential is no longer good: makes sure of a new one. */
  refresh(): Promise<unknown>;
  /** A fresh access token, which came over the connection. */
  renewed(accessToken: string, expiresAt: number): void;
  /** Where the credential is the application's own JWT: a fresh one, for renewing it over the connection. */
  readonly getAccessToken?: () => string | Promise<string>;
}

export interface JwtLoginOptions {
  /** The gateway, such as `https://gateway.example`. In a page the default is its own origin. */
  url?: string;
  /** The application's own JWT, a fresh one where the last is about to end. */
  getAccessToken: () => string | Promise<string>;
  fetch?: Fetch;
  /** Default 10 000 ms. */
  requestTimeoutMs?: number;
}

/**
 * For pages whose application makes the JWTs itself: each attempt to connect gets a ticket for one.
 * @throws TypeError without a gateway's address outside of a page
 */
export function createJwtLogin(options: JwtLoginOptions): ConnectionLogin {
  const { getAccessToken, fetch = globalThis.fetch.bind(globalThis), requestTimeoutMs = 10_000 } = options;
  const origin = gatewayOrigin(options.url, null, originOfPage());
  const never = new AbortController().signal;
  const ticket = async (signal: AbortSignal): Promise<string> => {
    const credentials = { credentials: 'omit', authorization: `Bearer ${await getAccessToken()}` } as const;
    const answer = await sendAuthRequest(fetch, origin, { method: 'POST', path: 'ticket', credentials }, signal);
    return ticketOf(answer);
  };
  return {
    ticket: () => bounded(ticket, requestTimeoutMs, never),
    refresh: () => Promise.resolve(),
    renewed: () => {},
    getAccessToken,
  };
}

export function ticketOf(answer: { ticket?: unknown }): string {
  if (typeof answer.ticket === 'string') return answer.ticket;
  throw new ClientError('unexpected_answer', 'the answer holds no ticket');
}
