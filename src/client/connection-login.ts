/** How a connection gets the credential of each attempt. */
import { type Fetch, unexpected } from './login-http.js';
import { LoginRequests } from './login-requests.js';
import { repaired } from './repaired.js';
import { safeStorage } from './storage.js';

export interface ConnectionLogin {
  /** A fresh ticket, for one attempt. */
  ticket(): Promise<string>;
  /** The gateway closed because the credential is no longer good: makes sure of a new one. */
  refresh(): Promise<unknown>;
  /** A fresh access token, which came over the connection. */
  renewed(accessToken: string, expiresAt: number): void;
  /**
   * Calls `listener` when the person has logged out, here or in another tab. Not when a request was refused: a connection
   * that works is its node's to close.
   * @returns what takes the listener off again
   */
  onEnded?(listener: () => void): () => void;
  /**
   * An open connection offers to renew the login over itself, which then takes no HTTP.
   * @returns what withdraws the offer: the connection is gone
   */
  offerRenewal?(renew: () => void): () => void;
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
  const { getAccessToken } = options;
  const requests = new LoginRequests(options, safeStorage(undefined));
  const ticket = async (signal: AbortSignal): Promise<string> => {
    const credentials = { credentials: 'omit', authorization: `Bearer ${await getAccessToken()}` } as const;
    return ticketOf(await requests.send({ path: 'ticket', credentials }, signal));
  };
  return {
    // The second time `getAccessToken` has reason to give another.
    ticket: () => repaired(() => requests.once(ticket)),
    refresh: () => Promise.resolve(),
    renewed: () => {},
    getAccessToken,
  };
}

export function ticketOf(answer: { ticket?: unknown }): string {
  if (typeof answer.ticket === 'string') return answer.ticket;
  throw unexpected('ticket');
}
