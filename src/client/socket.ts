import { type ServerMessage, SUBPROTOCOL } from '../protocol/messages.js';

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
}

/** @throws TypeError when the options do not go together or there is no WebSocket */
export function checkSocketOptions({ url, WebSocket, getAccessToken }: SocketOptions): void {
  if (!/^wss?:\/\//.test(url)) throw new TypeError('url must begin with ws:// or wss://');
  if (WebSocket === undefined && globalThis.WebSocket === undefined) {
    throw new TypeError(
      'there is no global WebSocket here: pass one as `WebSocket`, for example that of the ws package',
    );
  }
  if (getAccessToken !== undefined && WebSocket === undefined) {
    throw new TypeError('getAccessToken needs a `WebSocket` that can send headers, such as that of the ws package');
  }
}

/** A socket that begins to connect, with fresh credentials. @throws whatever the caller's functions throw */
export async function openSocket({ url, protocols, WebSocket, getAccessToken }: SocketOptions): Promise<SocketLike> {
  const Constructor = WebSocket ?? globalThis.WebSocket;
  const more = typeof protocols === 'function' ? await protocols() : (protocols ?? []);
  const offered = [SUBPROTOCOL, ...more];
  if (getAccessToken === undefined) return new Constructor(url, offered);
  return new Constructor(url, offered, { headers: { authorization: `Bearer ${await getAccessToken()}` } });
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
