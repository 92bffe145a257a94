/** A network that fails when it is told to: what the client gets in place of the browser's WebSocket and fetch. */
import type { SocketConstructor } from '../client/index.js';

/** What one connection may hold back while offline; with more it breaks, as a real one does when its buffers are full. */
const MAX_HELD = 1_000;
const ABNORMAL = 1_006;

export class FaultyNetwork {
  readonly WebSocket: SocketConstructor;
  readonly #sockets = new Set<FaultySocket>();
  #isOffline = false;

  constructor() {
    const isOffline = () => this.#isOffline;
    const sockets = this.#sockets;
    this.WebSocket = class extends FaultySocket {
      constructor(url: string, protocols: string[]) {
        super(url, protocols, isOffline);
        sockets.add(this);
        this.addEventListener('close', () => sockets.delete(this));
      }
    };
  }

  get isOffline(): boolean {
    return this.#isOffline;
  }

  /** @throws TypeError while offline, as the browser's; also for an answer to what was asked before */
  readonly fetch: typeof globalThis.fetch = async (input, init) => {
    this.#requireOnline();
    const response = await globalThis.fetch(input, init);
    this.#requireOnline();
    return response;
  };

  /** Ends every connection: the page hears `code`, the gateway that somebody left. Default: no word, as of a cut wire. */
  end(code = ABNORMAL): void {
    for (const socket of this.#sockets) socket.end(code);
  }

  /**
   * Nothing passes in either direction while sockets stay open. What was sent meanwhile arrives afterwards, as TCP sends
   * it again. Resolves when that is over.
   */
  async goOffline(ms: number): Promise<void> {
    if (this.#isOffline) return;
    this.#isOffline = true;
    Object.defineProperty(navigator, 'onLine', { configurable: true, get: () => false });
    window.dispatchEvent(new Event('offline'));
    await new Promise((resolve) => setTimeout(resolve, ms));
    this.#isOffline = false;
    Reflect.deleteProperty(navigator, 'onLine');
    for (const socket of this.#sockets) socket.heal();
    window.dispatchEvent(new Event('online'));
  }

  #requireOnline(): void {
    if (this.#isOffline) throw new TypeError('the page is offline');
  }
}

class FaultySocket extends WebSocket {
  readonly #isOffline: () => boolean;
  /** What happened while offline, in both directions. */
  readonly #held: (() => void)[] = [];
  #hasEnded = false;

  constructor(url: string, protocols: string[], isOffline: () => boolean) {
    super(url, protocols);
    this.#isOffline = isOffline;
    // Before any other listener, so that it decides what those hear.
    for (const type of ['message', 'error', 'close']) this.addEventListener(type, (event) => this.#filter(event));
  }

  override send(data: string): void {
    this.#pass(() => super.send(data));
  }

  override close(code?: number, reason?: string): void {
    this.#pass(() => super.close(code, reason));
  }

  end(code: number): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#held.length = 0;
    super.close();
    this.dispatchEvent(new CloseEvent('close', { code }));
  }

  heal(): void {
    for (let next = this.#held.shift(); next !== undefined; next = this.#held.shift()) next();
  }

  /** The browser's own events are held back, and not heard after the end; those made here are not its own. */
  #filter(event: Event): void {
    if (!event.isTrusted || !(this.#hasEnded || this.#mustHold())) return;
    event.stopImmediatePropagation();
    this.#pass(() => this.dispatchEvent(copyOf(event)));
  }

  /** What comes after something that is held back waits behind it. */
  #mustHold(): boolean {
    return this.#isOffline() || this.#held.length > 0;
  }

  #pass(act: () => void): void {
    if (this.#hasEnded) return;
    if (!this.#mustHold()) return act();
    this.#held.push(act);
    if (this.#held.length > MAX_HELD) this.end(ABNORMAL);
  }
}

function copyOf(event: Event): Event {
  if (event instanceof MessageEvent) return new MessageEvent('message', { data: event.data });
  if (event instanceof CloseEvent) return new CloseEvent('close', { code: event.code, reason: event.reason });
  return new Event(event.type);
}
