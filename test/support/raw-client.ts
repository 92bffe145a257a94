import { once } from 'node:events';
import { WebSocket } from 'ws';
import type {
  ClaimAck,
  ClientMessage,
  OwnershipMessage,
  ServerMessage,
  SubscribeAck,
  Subscription,
} from '../../src/protocol/messages.js';
import { SUBPROTOCOL } from '../../src/protocol/messages.js';

export type Reply<T extends ServerMessage['type'] = ServerMessage['type']> = Extract<ServerMessage, { type: T }>;

type WithoutId<M> = M extends unknown ? Omit<M, 'id'> : never;

/** A client's message as it stands on the wire: `subscribe` names one session or several. */
export type Request =
  | WithoutId<Exclude<ClientMessage, { type: 'subscribe' }>>
  | ({ type: 'subscribe' } & (Subscription | { sessions: Subscription[] }));

/** A received frame and when it came, on the monotonic clock of this process. */
export interface Frame {
  readonly atMs: number;
  readonly message: ServerMessage;
}

export interface ConnectOptions {
  origin?: string;
  /** Bearer token. */
  token?: string;
  /** Offered as the second subprotocol. */
  ticket?: string;
  headers?: Record<string, string>;
  timeoutMs?: number;
  /** Offers permessage-deflate. */
  compress?: boolean;
}

interface Waiter {
  matches: (message: ServerMessage) => boolean;
  take: (frame: Frame) => void;
  fail: (why: string) => void;
}

const TIMEOUT_MS = 5_000;

/** The gateway's answer to an upgrade that it refused. */
export class UpgradeRefused extends Error {
  readonly status: number;
  readonly retryAfter: string | undefined;

  constructor(status: number, retryAfter: string | undefined) {
    super(`upgrade refused with ${status}`);
    this.status = status;
    this.retryAfter = retryAfter;
  }
}

/** Speaks the protocol with nothing on top: it keeps every frame and answers nothing by itself. */
export class RawClient {
  /** Everything received, in order. */
  readonly frames: Frame[] = [];
  /** How the connection ended, once it has. */
  closed: { code: number; reason: string; atMs: number } | undefined;
  readonly whenClosed: Promise<{ code: number; reason: string; atMs: number }>;
  readonly socket: WebSocket;
  readonly #untaken: Frame[] = [];
  readonly #waiters = new Set<Waiter>();
  #requests = 0;

  private constructor(socket: WebSocket) {
    this.socket = socket;
    socket.on('message', (data: Buffer) => this.#receive(JSON.parse(data.toString()) as ServerMessage));
    socket.on('error', () => {
      // Told by the close that follows.
    });
    this.whenClosed = new Promise((resolve) => {
      socket.once('close', (code: number, reason: Buffer) => {
        this.closed = { code, reason: reason.toString(), atMs: performance.now() };
        resolve(this.closed);
        for (const waiter of this.#waiters) waiter.fail(`closed with ${code}`);
      });
    });
  }

  /**
   * Resolves with an open connection, before its first frame.
   * @throws UpgradeRefused with the status of an upgrade that was answered with plain HTTP
   */
  static async open(url: string, options: ConnectOptions = {}): Promise<RawClient> {
    const { origin, token, ticket, headers = {}, timeoutMs = TIMEOUT_MS, compress = false } = options;
    const protocols = ticket === undefined ? [SUBPROTOCOL] : [SUBPROTOCOL, `holdfast.ticket.${ticket}`];
    const socket = new WebSocket(url, protocols, {
      handshakeTimeout: timeoutMs,
      perMessageDeflate: compress,
      headers: { ...headers, ...(token !== undefined && { authorization: `Bearer ${token}` }) },
      ...(origin !== undefined && { origin }),
    });
    const client = new RawClient(socket);
    const refused = new Promise<never>((_, reject) => {
      socket.once('unexpected-response', (request, response) => {
        reject(new UpgradeRefused(response.statusCode ?? 0, response.headers['retry-after']));
        request.destroy();
      });
    });
    // Marks it as handled: after the opening nobody waits for it.
    refused.catch(() => {});
    await Promise.race([once(socket, 'open'), refused]);
    return client;
  }

  /** Resolves after the `welcome`. */
  static async connect(url: string, options: ConnectOptions = {}): Promise<RawClient> {
    const client = await RawClient.open(url, options);
    await client.next('welcome', undefined, options.timeoutMs);
    return client;
  }

  get welcome(): Reply<'welcome'> {
    const [first] = this.frames;
    if (first?.message.type !== 'welcome') throw new Error('no welcome yet');
    return first.message;
  }

  get id(): string {
    return this.welcome.connection_id;
  }

  /** What this connection was told of a session's ownership, in order. */
  ownership(sessionId: string): OwnershipMessage[] {
    return this.all('ownership').filter((message) => message.session_id === sessionId);
  }

  /** Every frame of one type so far, taken or not. */
  all<T extends ServerMessage['type']>(type: T): Reply<T>[] {
    return this.frames.map(({ message }) => message).filter((message): message is Reply<T> => message.type === type);
  }

  send(message: object): void {
    this.socket.send(JSON.stringify(message));
  }

  /** Sends with a fresh id. @returns the first frame that echoes it: the reply or an error */
  async request(message: Request, timeoutMs = TIMEOUT_MS): Promise<ServerMessage> {
    this.#requests += 1;
    const id = `r${this.#requests}`;
    this.send({ ...message, id });
    const describe = `the reply to ${message.type}`;
    return (await this.#take((reply) => 'id' in reply && reply.id === id, describe, timeoutMs)).message;
  }

  /** @throws Error for any other answer than an acknowledgement */
  async subscribe(sessionId: string, rest: Omit<Subscription, 'session_id'> = {}): Promise<SubscribeAck> {
    return expectReply('subscribe_ack', await this.request({ type: 'subscribe', session_id: sessionId, ...rest }));
  }

  /** @throws Error for any other answer than an acknowledgement */
  async claim(sessionId: string, rest: { attempt_id?: string; force?: boolean } = {}): Promise<ClaimAck> {
    return expectReply('claim_ack', await this.request({ type: 'claim', session_id: sessionId, ...rest }));
  }

  async release(sessionId: string): Promise<ServerMessage> {
    return this.request({ type: 'release', session_id: sessionId });
  }

  /** Takes the first frame of that type that no earlier call took, waiting for it. */
  async next<T extends ServerMessage['type']>(
    type: T,
    where: (message: Reply<T>) => boolean = () => true,
    timeoutMs = TIMEOUT_MS,
  ): Promise<Reply<T>> {
    return (await this.nextFrame(type, where, timeoutMs)).message;
  }

  /** As `next`, with the time at which it came. */
  async nextFrame<T extends ServerMessage['type']>(
    type: T,
    where: (message: Reply<T>) => boolean = () => true,
    timeoutMs = TIMEOUT_MS,
  ): Promise<Frame & { message: Reply<T> }> {
    const matches = (message: ServerMessage) => message.type === type && where(message as Reply<T>);
    return (await this.#take(matches, `a matching ${type}`, timeoutMs)) as Frame & { message: Reply<T> };
  }

  /** Takes the next `ownership` of that session with that state. */
  async nextOwnership(
    sessionId: string,
    state: OwnershipMessage['state'],
    timeoutMs = TIMEOUT_MS,
  ): Promise<OwnershipMessage> {
    return this.next('ownership', (it) => it.session_id === sessionId && it.state === state, timeoutMs);
  }

  /** The closing handshake. */
  async close(): Promise<void> {
    this.socket.close(1000);
    await this.whenClosed;
  }

  /** Cuts the TCP connection without a goodbye. */
  terminate(): void {
    this.socket.terminate();
  }

  /** Leaves what arrives in the kernel's buffers. */
  stopReading(): void {
    this.socket.pause();
  }

  startReading(): void {
    this.socket.resume();
  }

  #receive(message: ServerMessage): void {
    const frame = { atMs: performance.now(), message };
    this.frames.push(frame);
    for (const waiter of this.#waiters) {
      if (!waiter.matches(message)) continue;
      this.#waiters.delete(waiter);
      waiter.take(frame);
      return;
    }
    this.#untaken.push(frame);
  }

  #take(matches: Waiter['matches'], what: string, timeoutMs: number): Promise<Frame> {
    const index = this.#untaken.findIndex(({ message }) => matches(message));
    const [found] = index === -1 ? [] : this.#untaken.splice(index, 1);
    if (found !== undefined) return Promise.resolve(found);
    return new Promise((resolve, reject) => {
      const waiter: Waiter = {
        matches,
        take: (frame) => {
          end();
          resolve(frame);
        },
        fail: (why) => {
          end();
          const seen = this.frames.slice(-8).map(({ message }) => JSON.stringify(redacted(message)));
          reject(new Error(`${what}: ${why}; last frames: ${seen.join(' ') || 'none'}`));
        },
      };
      const timer = setTimeout(() => waiter.fail(`not within ${timeoutMs} ms`), timeoutMs);
      const end = () => {
        clearTimeout(timer);
        this.#waiters.delete(waiter);
      };
      if (this.closed === undefined) this.#waiters.add(waiter);
      else waiter.fail(`closed with ${this.closed.code}`);
    });
  }
}

/** @throws Error that shows what came instead */
export function expectReply<T extends ServerMessage['type']>(type: T, message: ServerMessage): Reply<T> {
  if (message.type !== type) throw new Error(`wanted ${type}, got ${JSON.stringify(redacted(message))}`);
  return message as Reply<T>;
}

/** The reconnect token of an acknowledgement that made the connection the owner. */
export function tokenOf(ack: SubscribeAck | ClaimAck | OwnershipMessage): string {
  if (ack.reconnect_token === undefined) throw new Error(`no token in ${JSON.stringify(ack)}`);
  return ack.reconnect_token;
}

/** A failing test must not print a secret. */
function redacted(message: ServerMessage): object {
  return 'reconnect_token' in message ? { ...message, reconnect_token: '…' } : message;
}
