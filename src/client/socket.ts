import { type ServerMessage, SUBPROTOCOL, TICKET_SUBPROTOCOL } from '../protocol/messages.js';
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
  /** `ws:` or `wss:`, with the path, which is `/v1/connect` unless a proxy changes it. */
  url: string;
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
}

/** @throws TypeError when the options do not go together or there is no WebSocket */
export function checkSocketOptions({ url, WebSocket, getAccessToken, login }: SocketOptions): void {
  if (!/^wss?:\/\//.test(url)) throw new TypeError('url must begin with ws:// or wss://');
  if (WebSocket === undefined && globalThis.WebSocket === undefined) {
    throw new TypeError(
      'there is no global WebSocket here: pass one as `WebSocket`, for example that of the ws package',
    );
  }
  if (getAccessToken !== undefined && login !== undefined) {
    throw new TypeError('either login or getAccessToken: the gateway takes one credential');
  }
  if (getAccessToken !== undefined && WebSocket === undefined) {
    throw new TypeError('getAccessToken needs a `WebSocket` that can send headers, such as that of the ws package');
  }
}

/** What one attempt presents. */
export interface Offer {
  protocols: string[];
  headers: Record<string, string> | undefined;
}

/** Fresh credentials for one attempt. @throws whatever the login and the caller's functions throw */
export async function makeOffer({ protocols, getAccessToken, login }: SocketOptions): Promise<Offer> {
  const more = typeof protocols === 'function' ? await protocols() : (protocols ?? []);
  const ticket = login && [`${TICKET_SUBPROTOCOL}${await login.ticket()}`];
  const headers = getAccessToken && { authorization: `Bearer ${await getAccessToken()}` };
  return { protocols: [SUBPROTOCOL, ...(ticket ?? []), ...more], headers };
}

/** A socket that begins to connect. @throws SyntaxError for what is no subprotocol */
export function openSocket({ url, WebSocket }: SocketOptions, { protocols, headers }: Offer): SocketLike {
  const Constructor = WebSocket ?? globalThis.WebSocket;
  return headers === undefined ? new Constructor(url, protocols) : new Constructor(url, protocols, { headers });
}

/** The message in a frame; undefined for what is none. Types that this client does not know are its caller's to ignore. */
export function parseMessage(data: unknown): ServerMessage | undefined {
  if (typeof data !== 'string') return undefined;
  try {
    const message: unknown = JSON.parse(data);
    const isMessage = typeof message === 'object' && message !== null && 'type' in message;
    return isMessage ? (message as ServerMessage) : undefined;
  } catch {
    return undefined;
  }
}
