import { SUBPROTOCOL, TICKET_SUBPROTOCOL } from '../protocol/messages.js';
import type { ConnectionLogin } from './connection-login.js';

/** The part of a WebSocket that the client uses; a browser's and `ws`'s both have it. */
export interface SocketLike {
  send(data: string): void;
  close(code?: number, reason?: string): void;
  addEventListener(type: 'message', listener: (event: { data: unknown }) => void): void;
  addEventListener(type: 'close', listener: (event: { code: number }) => void): void;
  addEventListener(type: 'error', listener: () => void): void;
}

/** `options` is passed only where `getAccessToken` is used, so only to a constructor that was given. */
export type SocketConstructor = new (
  url: string,
  protocols: string[],
  options?: { headers: Record<string, string> },
) => SocketLike;

export interface SocketOptions {
  /**
   * `ws:` or `wss:`, with the path, which is `/v1/connect` unless a proxy changes it. Of several, which all lead to the
   * same deployment, the next one is tried after each attempt that no welcome followed.
   */
  url: string | readonly string[];
  /** More subprotocols to offer, or what makes them afresh for every attempt. */
  protocols?: readonly string[] | (() => readonly string[] | Promise<readonly string[]>);
  /** Default: the global one. Node before 22 has none; the `ws` package's fits. */
  WebSocket?: SocketConstructor;
  /**
   * Sends what this gives as a bearer token with every attempt. Needs a `WebSocket` that takes `{ headers }` as its
   * third argument, as `ws` does: browsers cannot send headers with an upgrade.
   */
  getAccessToken?: () => string | Promise<string>;
  /** Every attempt gets a ticket of this login. Of `createLogin` or `createJwtLogin`. */
  login?: ConnectionLogin;
  /** Every attempt gets the ticket that this gives: one that the application's server asked the gateway for. */
  getTicket?: () => string | Promise<string>;
}

/** At least one. */
export function urlsOf({ url }: SocketOptions): readonly [string, ...string[]] {
  const [first = '', ...others] = [url].flat();
  return [first, ...others];
}

/** @throws TypeError when the options do not go together or there is no WebSocket */
export function checkSocketOptions(options: SocketOptions): void {
  const { WebSocket, getAccessToken, login, getTicket } = options;
  if (!urlsOf(options).every((url) => /^wss?:\/\//.test(url)))
    throw new TypeError('url must begin with ws:// or wss://');
  if (WebSocket === undefined && globalThis.WebSocket === undefined) {
    throw new TypeError('no global WebSocket: pass one, such as that of the ws package');
  }
  if ([getAccessToken, login, getTicket].filter((credential) => credential !== undefined).length > 1) {
    throw new TypeError('login, getTicket or getAccessToken: one at most');
  }
  if (getAccessToken !== undefined && WebSocket === undefined) {
    throw new TypeError('getAccessToken needs a WebSocket that sends headers, such as that of the ws package');
  }
}

/** What one attempt presents. */
export interface Offer {
  protocols: string[];
  headers: Record<string, string> | undefined;
}

/** Fresh credentials for one attempt. @throws whatever the login and the caller's functions throw */
export async function makeOffer({ protocols, getAccessToken, login, getTicket }: SocketOptions): Promise<Offer> {
  const more = typeof protocols === 'function' ? await protocols() : (protocols ?? []);
  const ticket = login ? await login.ticket() : await getTicket?.();
  const headers = getAccessToken && { authorization: `Bearer ${await getAccessToken()}` };
  return { protocols: [SUBPROTOCOL, ...(ticket === undefined ? [] : [TICKET_SUBPROTOCOL + ticket]), ...more], headers };
}

/** A socket that begins to connect. @throws SyntaxError for what is no subprotocol */
export function openSocket(url: string, { WebSocket }: SocketOptions, { protocols, headers }: Offer): SocketLike {
  const Constructor = WebSocket ?? globalThis.WebSocket;
  return headers === undefined ? new Constructor(url, protocols) : new Constructor(url, protocols, { headers });
}
