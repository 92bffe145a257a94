import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';

/** What a lane holds back before it stops reading. */
const MAX_HELD_BYTES = 1 << 20;
const MAX_CONNECTIONS = 10_000;

/** `requests` flow from the connecting side to the target, `replies` back. */
export type Direction = 'requests' | 'replies';

/** A loopback TCP proxy that does to connections what networks do. Holds at most 1 MiB a connection and direction. */
export class TcpProxy {
  #targetPort: number;
  readonly #pairs = new Set<Pair>();
  readonly #drops = new Map<Direction, () => void>();
  #server: Server | undefined;
  #port = 0;
  #delayMs = 0;
  #paused = false;

  private constructor(targetPort: number) {
    this.#targetPort = targetPort;
  }

  /** @param targetPort where it connects to, on the loopback */
  static async start(targetPort: number): Promise<TcpProxy> {
    const proxy = new TcpProxy(targetPort);
    await proxy.accept();
    return proxy;
  }

  get port(): number {
    return this.#port;
  }

  get connections(): number {
    return this.#pairs.size;
  }

  get paused(): boolean {
    return this.#paused;
  }

  get delayMs(): number {
    return this.#delayMs;
  }

  /** New connections go to that port; open ones stay where they are. */
  retarget(port: number): void {
    this.#targetPort = port;
  }

  /** Applies to what is read from now on, each way; never reorders. */
  delay(ms: number): void {
    this.#delayMs = ms;
  }

  /** A black hole: nothing passes and nothing closes, either way. New connections are accepted and hang. */
  pause(): void {
    this.#paused = true;
  }

  /** Passes on what was held back, closings included. */
  resume(): void {
    this.#paused = false;
    for (const pair of this.#pairs) pair.resume();
  }

  /** New connections are refused as by a closed port; open ones stay. */
  refuse(): void {
    // Its callback would wait for the open connections; the port is closed at once.
    this.#server?.close();
    this.#server = undefined;
  }

  /** Ends `refuse`. */
  async accept(): Promise<void> {
    if (this.#server !== undefined) return;
    const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => this.#open(client));
    this.#server = server;
    server.maxConnections = MAX_CONNECTIONS;
    server.listen(this.#port, '127.0.0.1');
    await once(server, 'listening');
    this.#port = (server.address() as { port: number }).port;
  }

  /**
   * Swallows the next bytes that flow that way on any connection and resets that connection: a request or a reply that
   * is lost with its connection. Resolves once it has happened.
   */
  dropOnce(direction: Direction): Promise<void> {
    return new Promise((resolve) => this.#drops.set(direction, resolve));
  }

  /** @returns true when the bytes at hand are the ones to swallow */
  takeDrop(direction: Direction): boolean {
    const dropped = this.#drops.get(direction);
    this.#drops.delete(direction);
    dropped?.();
    return dropped !== undefined;
  }

  /** Resets every open connection, at both ends. */
  killConnections(): void {
    for (const pair of this.#pairs) pair.reset();
  }

  /** Ends everything; resolves when no socket is left. */
  async stop(): Promise<void> {
    this.refuse();
    const pairs = [...this.#pairs];
    this.killConnections();
    await Promise.all(pairs.map(({ closed }) => closed));
  }

  #open(client: Socket): void {
    const target = connect({ port: this.#targetPort, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
    const pair = new Pair(this, client, target);
    this.#pairs.add(pair);
    void pair.closed.then(() => this.#pairs.delete(pair));
  }
}

class Pair {
  readonly closed: Promise<unknown>;
  readonly #lanes: readonly Lane[];
  readonly #sockets: readonly Socket[];

  constructor(proxy: TcpProxy, client: Socket, target: Socket) {
    this.#sockets = [client, target];
    this.closed = Promise.all(this.#sockets.map((socket) => new Promise((resolve) => socket.once('close', resolve))));
    const reset = () => this.reset();
    this.#lanes = [
      new Lane(proxy, 'requests', client, target, reset),
      new Lane(proxy, 'replies', target, client, reset),
    ];
    for (const socket of this.#sockets) {
      socket.on('error', () => {});
      socket.on('close', (failed) => {
        // While paused the other end does not hear of it, as in a network that is cut.
        if (failed && !proxy.paused) this.reset();
      });
    }
  }

  resume(): void {
    if (this.#sockets.some(({ errored }) => errored !== null)) this.reset();
    for (const lane of this.#lanes) lane.flush();
  }

  reset(): void {
    for (const lane of this.#lanes) lane.stop();
    for (const socket of this.#sockets) {
      // A reset during a shutdown fails, and then Node neither closes the socket nor says so.
      if (socket.writableEnded) socket.destroy();
      else socket.resetAndDestroy();
    }
  }
}

/** One direction of a connection: what was read and not written yet, in order; `undefined` stands for its end. */
class Lane {
  readonly #proxy: TcpProxy;
  readonly #from: Socket;
  readonly #to: Socket;
  readonly #held: { bytes: Buffer | undefined; dueMs: number }[] = [];
  #heldBytes = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(proxy: TcpProxy, direction: Direction, from: Socket, to: Socket, reset: () => void) {
    this.#proxy = proxy;
    this.#from = from;
    this.#to = to;
    from.on('data', (bytes: Buffer) => {
      if (proxy.takeDrop(direction)) reset();
      else this.#hold(bytes);
    });
    from.on('end', () => this.#hold(undefined));
    to.on('drain', () => this.flush());
  }

  flush(): void {
    clearTimeout(this.#timer);
    while (!this.#proxy.paused && !this.#to.writableNeedDrain) {
      const [next] = this.#held;
      if (next === undefined) break;
      const waitMs = next.dueMs - performance.now();
      if (waitMs > 0) {
        this.#timer = setTimeout(() => this.flush(), Math.ceil(waitMs));
        break;
      }
      this.#held.shift();
      this.#heldBytes -= next.bytes?.length ?? 0;
      if (next.bytes === undefined) this.#to.end();
      else this.#to.write(next.bytes);
    }
    if (this.#heldBytes < MAX_HELD_BYTES) this.#from.resume();
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#held.length = 0;
  }

  #hold(bytes: Buffer | undefined): void {
    const { delayMs } = this.#proxy;
    const previousMs = this.#held.at(-1)?.dueMs ?? 0;
    this.#held.push({ bytes, dueMs: delayMs === 0 ? previousMs : Math.max(previousMs, performance.now() + delayMs) });
    this.#heldBytes += bytes?.length ?? 0;
    if (this.#heldBytes >= MAX_HELD_BYTES) this.#from.pause();
    this.flush();
  }
}
