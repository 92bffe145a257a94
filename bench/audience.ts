/** The subscribers of one server and who publishes to them: the work of `audience-process.ts`. */
import { setTimeout as sleep } from 'node:timers/promises';
import { CountingSocket } from './counting-socket.js';
import {
  greetSocketIo,
  type Kind,
  openPublisher,
  Poster,
  type Publisher,
  type Route,
  subscribe,
  subscribeFrame,
} from './publishers.js';
import { inParallel } from './raw-socket.js';

const OPENING_AT_ONCE = 100;
const PATIENCE_MS = 60_000;
/** What is shorter acknowledges. */
const MESSAGE_BYTES = 210;

export interface Seats {
  kind: Kind;
  /** Subscribers take them in turn. */
  ports: number[];
  count: number;
  /** Each has a session of its own, `many:<index>`. */
  apart?: boolean;
  /** Only connects: `rejoin` subscribes. */
  later?: boolean;
  /** One more subscribes and then reads nothing; no delivery to it is expected. */
  oneStalls?: boolean;
}

/** @returns the position that holdfast gave the last of them */
export type Opened = { epoch: string; offset: number } | undefined;

export interface Counted {
  /** Messages published. */
  sent: number;
  delivered: number;
  seconds: number;
}

export interface Latencies {
  p50Ms: number;
  p99Ms: number;
}

export class Audience {
  readonly #sockets: CountingSocket[] = [];
  #stalled: CountingSocket | undefined;
  #delivered = 0;
  #acknowledged = 0;
  #onDelivery: (socket: number) => void = () => {};
  #route: Route | undefined;
  #publisher: Publisher | undefined;

  async open({ kind, ports, count, apart = false, later = false, oneStalls = false }: Seats): Promise<Opened> {
    let position: Opened;
    const first = this.#sockets.length;
    for (let index = 0; index < count; index++) this.#sockets.push(new CountingSocket());
    await inParallel(count, OPENING_AT_ONCE, async (seat) => {
      const index = first + seat;
      const socket = this.#socket(index);
      const port = ports[index % ports.length] ?? 0;
      if (kind === 'relay') await socket.open(port, apart ? `/many:${index}` : '/');
      if (kind === 'socket.io') {
        await socket.open(port, '/socket.io/?EIO=4&transport=websocket');
        await greetSocketIo(socket);
      }
      if (kind === 'holdfast') {
        await socket.open(port, '/v1/connect');
        await socket.next((text) => text.startsWith('{"type":"welcome"'));
        const whose = apart ? { session_id: `many:${index}` } : {};
        if (!later) position = await subscribe(socket, { claim: 'never', ...whose });
      }
      socket.count((bytes) => {
        if (bytes < MESSAGE_BYTES) {
          this.#acknowledged++;
        } else {
          this.#delivered++;
          this.#onDelivery(index);
        }
      });
    });
    if (oneStalls) await this.#stall(ports[0] ?? 0);
    return position;
  }

  async publisher(route: Route): Promise<void> {
    this.#publisher?.close();
    this.#route = route;
    this.#publisher = await openPublisher(route);
  }

  /**
   * Publishes for about `forMs`, so that never more than `window` messages are on their way to anybody, and waits for all
   * to arrive.
   */
  async saturate(forMs: number, window: number): Promise<Counted> {
    const { publisher, batch } = this.#publishing();
    const startedMs = performance.now();
    this.#delivered = 0;
    let sent = 0;
    const refill = () => {
      const onTheirWay = sent - Math.floor(this.#delivered / this.#sockets.length);
      if (onTheirWay > window / 2 || performance.now() - startedMs > forMs) return;
      const times = Math.max(1, Math.floor((window - onTheirWay) / batch));
      sent += times * batch;
      publisher.publish(times);
    };
    this.#onDelivery = refill;
    refill();
    await this.#arrived(() => sent * this.#sockets.length);
    return this.#counted(sent, startedMs);
  }

  /** Publishes that many to whoever is there, and waits for them to arrive. */
  async publish(count: number): Promise<void> {
    const { publisher, batch } = this.#publishing();
    this.#delivered = 0;
    this.#onDelivery = () => {};
    publisher.publish(Math.ceil(count / batch));
    await this.#arrived(() => count * this.#sockets.length);
  }

  /** Publishes one message every `everyMs`. */
  async pace(everyMs: number, count: number): Promise<Latencies> {
    const { publisher } = this.#publishing();
    const sentAtMs: number[] = [];
    const received = new Uint32Array(this.#sockets.length);
    const latencies = new Float64Array(count * this.#sockets.length);
    this.#delivered = 0;
    this.#onDelivery = (socket) => {
      const number = received[socket] ?? 0;
      received[socket] = number + 1;
      latencies[this.#delivered - 1] = performance.now() - (sentAtMs[number] ?? Number.NaN);
    };
    const startMs = performance.now();
    for (let index = 0; index < count; index++) {
      const waitMs = startMs + index * everyMs - performance.now();
      if (waitMs > 0) await sleep(waitMs);
      sentAtMs.push(performance.now());
      publisher.publish(1);
    }
    await this.#arrived(() => latencies.length);
    latencies.sort();
    const at = (share: number) => latencies[Math.floor(latencies.length * share)] ?? Number.NaN;
    return { p50Ms: at(0.5), p99Ms: at(0.99) };
  }

  /** All subscribe at once from that position, and wait for `missed` messages each. */
  async rejoin(since: { epoch: string; offset: number }, missed: number): Promise<Counted> {
    const startedMs = performance.now();
    this.#delivered = 0;
    this.#acknowledged = 0;
    this.#onDelivery = () => {};
    const frame = subscribeFrame({ claim: 'never', since });
    for (const socket of this.#sockets) socket.write(frame);
    while (this.#acknowledged < this.#sockets.length && performance.now() < startedMs + PATIENCE_MS) await sleep(2);
    await this.#arrived(() => missed * this.#sockets.length);
    return this.#counted(missed, startedMs);
  }

  /** Publishes to each one's own session every second, `seconds` times, in POSTs of `batch` messages. */
  async trickle(path: string, port: number, data: string, batch: number, seconds: number): Promise<Counted> {
    const poster = new Poster(port, path);
    const bodies: Buffer[] = [];
    for (let first = 0; first < this.#sockets.length; first += batch) {
      const messages = Array.from({ length: batch }, (_, index) => ({ session_id: `many:${first + index}`, data }));
      bodies.push(Buffer.from(JSON.stringify({ messages })));
    }
    this.#delivered = 0;
    this.#onDelivery = () => {};
    const startedMs = performance.now();
    for (let index = 0; index < bodies.length * seconds; index++) {
      const waitMs = startedMs + (index * 1000) / bodies.length - performance.now();
      if (waitMs > 0) await sleep(waitMs);
      void poster.post(bodies[index % bodies.length] ?? Buffer.alloc(0));
    }
    await this.#arrived(() => seconds * this.#sockets.length);
    const counted = this.#counted(seconds, startedMs);
    poster.close();
    return counted;
  }

  /** All leave; others may come. */
  async leave(): Promise<void> {
    this.#publisher?.close();
    this.#stalled?.cut();
    for (const socket of this.#sockets.splice(0)) socket.cut();
  }

  /** One of holdfast's. */
  async #stall(port: number): Promise<void> {
    this.#stalled = new CountingSocket();
    await this.#stalled.open(port, '/v1/connect');
    await subscribe(this.#stalled, { claim: 'never' });
    this.#stalled.stopReading();
  }

  #socket(index: number): CountingSocket {
    const socket = this.#sockets[index];
    if (socket === undefined) throw new Error(`nobody sits at ${index}`);
    return socket;
  }

  #publishing() {
    if (this.#publisher === undefined || this.#route === undefined) throw new Error('nobody publishes');
    return { publisher: this.#publisher, batch: this.#route.batch };
  }

  #counted(sent: number, startedMs: number): Counted {
    return { sent, delivered: this.#delivered, seconds: (performance.now() - startedMs) / 1000 };
  }

  /** Then no more may come. @throws Error when it is not exactly as many */
  async #arrived(expected: () => number): Promise<void> {
    const endMs = performance.now() + PATIENCE_MS;
    while (this.#delivered < expected() && performance.now() < endMs) await sleep(2);
    await sleep(50);
    if (this.#delivered === expected()) return;
    throw new Error(`${this.#delivered} deliveries where ${expected()} were wanted`);
  }
}
