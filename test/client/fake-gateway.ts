import type { SocketConstructor, SocketLike } from '../../src/client/index.js';
import type { ClientMessage, ServerMessage, SubscribeAck, Subscription } from '../../src/protocol/messages.js';

type Listeners = {
  message: (event: { data: unknown }) => void;
  close: (event: { code: number }) => void;
  error: () => void;
};

/** A WebSocket whose other end is the test. */
export class FakeSocket implements SocketLike {
  readonly url: string;
  readonly protocols: string[];
  readonly headers: Record<string, string>;
  readonly sent: ClientMessage[] = [];
  closedWith: number | undefined;
  readonly #listeners: { [E in keyof Listeners]: Listeners[E][] } = { message: [], close: [], error: [] };

  constructor(url: string, protocols: string[], headers: Record<string, string> = {}) {
    this.url = url;
    this.protocols = protocols;
    this.headers = headers;
  }

  addEventListener<E extends keyof Listeners>(type: E, listener: Listeners[E]): void {
    this.#listeners[type].push(listener);
  }

  send(data: string): void {
    this.sent.push(JSON.parse(data) as ClientMessage);
  }

  close(code?: number): void {
    this.closedWith = code;
  }

  receive(message: ServerMessage | Record<string, unknown> | string): void {
    const data = typeof message === 'string' ? message : JSON.stringify(message);
    for (const listener of this.#listeners.message) listener({ data });
  }

  breakOff(code = 1006): void {
    for (const listener of this.#listeners.close) listener({ code });
  }

  welcome(pingIntervalMs = 25_000, more: object = {}): void {
    this.receive({
      type: 'welcome',
      connection_id: 'c_1',
      node: 'n1',
      principal: 'anon:1',
      ping_interval_ms: pingIntervalMs,
      protocol_minor: 0,
      features: ['messages', 'renew_login'],
      limits: { max_payload_bytes: 65_536, max_subscriptions: 128, messages_per_second: 50 },
      ...more,
    });
  }

  /** All messages of a type, in the order sent. */
  all<T extends ClientMessage['type']>(type: T): Extract<ClientMessage, { type: T }>[] {
    return this.sent.filter((message): message is Extract<ClientMessage, { type: T }> => message.type === type);
  }

  last<T extends ClientMessage['type']>(type: T): Extract<ClientMessage, { type: T }> {
    const message = this.all(type).at(-1);
    if (message === undefined) throw new Error(`nothing sent of type ${type}`);
    return message;
  }

  /** What was asked of the first session in the last `subscribe`. */
  subscription(): Subscription {
    const [first] = this.last('subscribe').sessions;
    if (first === undefined) throw new Error('an empty batch');
    return first;
  }

  acknowledge(ack: Partial<SubscribeAck> = {}): void {
    const { id, sessions } = this.last('subscribe');
    for (const { session_id } of sessions) {
      this.receive({ ...snapshot(session_id), ...(id !== undefined && { id }), ...ack });
    }
  }
}

export function snapshot(sessionId: string): SubscribeAck {
  return {
    type: 'subscribe_ack',
    session_id: sessionId,
    owner: false,
    state: 'owned',
    owner_epoch: 5,
    rev: 1,
    grace_ms: 30_000,
    position: { epoch: 'e1', offset: 0 },
  };
}

export const OWNED = { owner: true, state: 'owned', reconnect_token: 'token-1' } as const;

/** The sockets that a client opened, the newest last. */
export class FakeGateway {
  readonly sockets: FakeSocket[] = [];
  readonly WebSocket: SocketConstructor;

  constructor() {
    const { sockets } = this;
    this.WebSocket = class extends FakeSocket {
      constructor(url: string, protocols: string[], options?: { headers: Record<string, string> }) {
        super(url, protocols, options?.headers);
        sockets.push(this);
      }
    };
  }

  get socket(): FakeSocket {
    const socket = this.sockets.at(-1);
    if (socket === undefined) throw new Error('no socket was opened');
    return socket;
  }
}
