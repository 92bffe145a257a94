import type { ConnectionLogin } from '../connection-login.js';
import { safeStorage } from '../storage.js';
import { type Fetch, ticketOf } from './http.js';
import { bearer } from './keeper.js';
import { repaired } from './repaired.js';
import { LoginRequests } from './requests.js';

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
    const credentials = bearer(await getAccessToken());
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
