import type { SocketLike } from '../client/index.js';

/** One direction of a connection: in order, never within the turn of who sends, and not at all while it is silent. */
class Direction {
  #waiting: (() => void)[] = [];
  #silent = false;

  push(deliver: () => void): void {
    this.#waiting.push(deliver);
    queueMicrotask(() => this.#next());
  }

  /** What is sent meanwhile arrives afterwards, as it does when TCP sends it again. */
  silence(silent: boolean): void {
    this.#silent = silent;
    for (const _ of this.#waiting) queueMicrotask(() => this.#next());
  }

  /** What is under way is lost. */
  cut(): void {
    this.#waiting = [];
  }

  #next(): void {
    if (!this.#silent) this.#waiting.shift()?.();
  }
}

/** What the gateway does with its end of a socket. */
export interface FarEnd {
  receive(text: string): void;
  /** The client closed. */
  gone(): void;
}

interface SocketEvents {
  message: { data: unknown };
  close: { code: number; reason: string; wasClean: boolean };
  error: object;
}
type Listener<E extends keyof SocketEvents> = (event: SocketEvents[E]) => void;

const CONNECTING = 0;
const OPEN = 1;
const CLOSING = 2;
const CLOSED = 3;
const NO_CODE = 1_005;
const ABNORMAL = 1_006;

/** The client's end of a connection: as much of a WebSocket as clients use. */
export class FakeSocket implements SocketLike {
  readonly url: string;
  /** What the client offered. */
  readonly protocols: readonly string[];
  readonly headers: Readonly<Record<string, string>>;
  readonly #toGateway = new Direction();
  readonly #toClient = new Direction();
  readonly #listeners: { [E in keyof SocketEvents]: Set<Listener<E>> } = {
    message: new Set(),
    close: new Set(),
    error: new Set(),
  };
  #readyState = CONNECTING;
  #far: FarEnd | undefined;

  /** @param accept hears of the attempt when it reaches the gateway; @returns the gateway's end, if it takes it */
  constructor(
    url: string,
    protocols: string | readonly string[],
    headers: Record<string, string>,
    accept: (socket: FakeSocket) => FarEnd | undefined,
  ) {
    this.url = url;
    this.protocols = typeof protocols === 'string' ? [protocols] : protocols;
    this.headers = headers;
    this.#toGateway.push(() => {
      this.#far = accept(this);
    });
  }

  get readyState(): number {
    return this.#readyState;
  }

  addEventListener<E extends keyof SocketEvents>(type: E, listener: Listener<E>): void {
    this.#listeners[type].add(listener);
  }

  send(data: string): void {
    if (this.#readyState === CONNECTING) throw new DOMException('still connecting', 'InvalidStateError');
    if (this.#readyState === OPEN) this.#toGateway.push(() => this.#far?.receive(data));
  }

  close(code = NO_CODE, reason = ''): void {
    if (this.#readyState >= CLOSING) return;
    // An attempt that is called off never reaches the gateway.
    if (this.#readyState === CONNECTING) return this.break();
    this.#readyState = CLOSING;
    this.#toGateway.push(() => this.#far?.gone());
    this.#toClient.push(() => this.#closed(code, reason));
  }

  /** @internal The gateway completes the upgrade. */
  open(): void {
    this.#toClient.push(() => {
      this.#readyState = OPEN;
    });
  }

  /** @internal The gateway sends a frame. */
  deliver(data: string): void {
    this.#toClient.push(() => {
      if (this.#readyState === OPEN) this.#emit('message', { data });
    });
  }

  /** @internal The gateway closes, behind what it has sent. */
  end(code: number, reason: string): void {
    this.#far = undefined;
    this.#toClient.push(() => this.#closed(code, reason));
  }

  /** @internal The connection is gone, with all that is under way. The client hears 1006, whatever else it would. */
  break(): void {
    this.#far = undefined;
    this.#toGateway.cut();
    this.#toClient.cut();
    this.#toClient.silence(false);
    this.#toClient.push(() => {
      this.#emit('error', {});
      this.#closed(ABNORMAL, '');
    });
  }

  /** @internal Half-open: neither side hears the other, and neither is told. */
  silence(silent: boolean): void {
    this.#toGateway.silence(silent);
    this.#toClient.silence(silent);
  }

  #closed(code: number, reason: string): void {
    if (this.#readyState === CLOSED) return;
    this.#readyState = CLOSED;
    this.#emit('close', { code, reason, wasClean: code !== ABNORMAL });
  }

  #emit<E extends keyof SocketEvents>(type: E, event: SocketEvents[E]): void {
    for (const listener of Array.from(this.#listeners[type])) listener(event);
  }
}
