import type { Socket } from 'node:net';
import { WebSocket } from 'ws';
import { equalJitterMs } from '../lib/backoff.js';
import type { Clock } from '../lib/clock.js';
import type { Log } from '../lib/log.js';
import type { TurnQueue } from '../lib/turn-queue.js';
import { CLOSE_CODES, type CloseReason } from '../protocol/close-codes.js';
import { encode } from '../protocol/codec.js';
import { PROTOCOL_MINOR, type ServerMessage } from '../protocol/messages.js';
import type { SessionRights } from '../session/rights.js';
import type { Subscriber } from '../session/subscriber.js';
import type { AddressSlot } from './addresses.js';
import type { Identity } from './authenticate.js';
import { textFrame } from './frame.js';
import { Inbox } from './inbox.js';
import type { SessionsApi } from './sessions-api.js';
import type { TransportTelemetry } from './telemetry.js';
import { NO_SLOT, type TimerWheel, type WheelItem } from './timer-wheel.js';
import type { BucketLimits } from './token-bucket.js';

/** Bounds of one connection. */
export interface ConnectionLimits {
  maxPayloadBytes: number;
  maxSubscriptions: number;
  /** Requests that are not answered yet. */
  maxPendingRequests: number;
  /** Unsent bytes beyond which the connection is a slow consumer. */
  maxQueueBytes: number;
  /** Frames in a row that are malformed or wrong before the connection is closed. */
  maxBadFrames: number;
  /** All frames. */
  frames: BucketLimits;
  /** The sessions named by batch subscribes, which cost one frame each. */
  batch: BucketLimits;
  pingIntervalMs: number;
  /** How long after a ping something must have arrived. */
  pongTimeoutMs: number;
}

/** What all connections of a node share. */
export interface ConnectionContext {
  nodeId: string;
  sessions: SessionsApi;
  limits: ConnectionLimits;
  wheel: TimerWheel;
  /** What is to be done for connections that are gone. */
  departures: TurnQueue;
  clock: Clock;
  log: Log;
  telemetry: TransportTelemetry;
  /** The socket is closed and gone. */
  onGone(connection: Connection): void;
}

/** The upgraded TCP or TLS stream. Heartbeats look at what it read: any inbound byte is a sign of life. */
type Stream = Pick<Socket, 'bytesRead' | 'write' | 'writableLength'>;

/** How long a connection that leaves waits for a store that is away. */
const LEAVE_PATIENCE_MS = 1_000;

const TEXT = { binary: false } as const;

/** Carries its connection, so that the listeners are functions shared by all sockets and not closures of each. */
export class GatewaySocket extends WebSocket {
  connection: Connection | undefined = undefined;
}

function onMessage(this: WebSocket, data: Buffer, isBinary: boolean): void {
  (this as GatewaySocket).connection?.receive(data, isBinary);
}

function onError(this: WebSocket, error: Error & { code?: string }): void {
  (this as GatewaySocket).connection?.failed(error);
}

function onClose(this: WebSocket, code: number, reason: Buffer): void {
  (this as GatewaySocket).connection?.gone(code, reason.toString());
}

/** One WebSocket. An idle one owns no timer, no map and no closure. */
export class Connection implements Subscriber, WheelItem {
  readonly id: string;
  readonly anonymous: boolean;
  readonly rights: SessionRights;
  readonly addressSlot: AddressSlot;
  wheelSlot = NO_SLOT;

  readonly #context: ConnectionContext;
  #principal: string;
  readonly #socket: GatewaySocket;
  readonly #stream: Stream;
  readonly #expiresAtMs: number;
  readonly #openedAtMs: number;
  #open = true;
  #closeCode = 0;
  #inbox: Inbox | undefined = undefined;
  #bytesRead = 0;
  #awaitingPong = false;
  #heartbeatAtMs: number;

  constructor(
    id: string,
    identity: Identity,
    addressSlot: AddressSlot,
    socket: GatewaySocket,
    stream: Stream,
    context: ConnectionContext,
  ) {
    this.id = id;
    this.#principal = identity.principal;
    this.anonymous = identity.anonymous;
    this.rights = identity.rights;
    this.addressSlot = addressSlot;
    this.#expiresAtMs = identity.expiresAtMs;
    this.#socket = socket;
    this.#stream = stream;
    this.#context = context;
    this.#openedAtMs = context.clock.monotonicMs();
    // Not all after the same time, or a storm of connections would come back as a storm of pings.
    this.#heartbeatAtMs = this.#openedAtMs + equalJitterMs(context.limits.pingIntervalMs);
    socket.connection = this;
    socket.on('message', onMessage);
    socket.on('error', onError);
    socket.on('close', onClose);
    const delayMs = this.wake();
    if (delayMs > 0) context.wheel.add(this, delayMs);
  }

  get open(): boolean {
    return this.#open;
  }

  get principal(): string {
    return this.#principal;
  }

  restorePrincipal(principal: string): void {
    this.#principal = principal;
  }

  welcome(): void {
    const { nodeId, limits } = this.#context;
    this.send({
      type: 'welcome',
      connection_id: this.id,
      node: nodeId,
      principal: this.principal,
      ...(this.#expiresAtMs === 0 ? {} : { expires_at: this.#expiresAtMs }),
      ping_interval_ms: limits.pingIntervalMs,
      protocol_minor: PROTOCOL_MINOR,
      features: [],
      limits: {
        max_payload_bytes: limits.maxPayloadBytes,
        max_subscriptions: limits.maxSubscriptions,
        messages_per_second: limits.frames.perSecond,
      },
    });
  }

  send(message: ServerMessage): void {
    if (!this.#open) return;
    // Without compression ws keeps nothing back that this could overtake.
    this.#stream.write(textFrame(encode(message)));
    this.#checkQueue();
  }

  sendRendered(payload: Buffer): void {
    if (!this.#open) return;
    this.#socket.send(payload, TEXT);
    this.#checkQueue();
  }

  /** Says when to come back, before a close with `restart`. */
  hint(afterMs: number, jitterMs: number): void {
    this.send({ type: 'reconnect', after_ms: afterMs, jitter_ms: jitterMs, reason: 'drain' });
  }

  /** Closes for a restart, where possible after the leases are held for `holdMs`. */
  async leave(holdMs: number): Promise<void> {
    if (!this.#open) return;
    let timer: NodeJS.Timeout | undefined;
    const patience = new Promise((resolve) => {
      timer = setTimeout(resolve, LEAVE_PATIENCE_MS);
    });
    await Promise.race([this.#detach({ release: false, holdMs }), patience]);
    clearTimeout(timer);
    this.#closeSocket('restart');
  }

  close(reason: CloseReason): void {
    if (!this.#open) return;
    const code = CLOSE_CODES[reason];
    const release = code >= CLOSE_CODES.revoked && code <= CLOSE_CODES.token_reuse;
    void this.#detach({ release });
    this.#closeSocket(reason);
  }

  /** Ends the TCP connection without a closing handshake. */
  terminate(): void {
    this.#socket.terminate();
  }

  /** Checks the credential's end and the heartbeat; the wheel's callback. */
  wake(): number {
    const { clock } = this.#context;
    const leftMs = this.#expiresAtMs === 0 ? Number.POSITIVE_INFINITY : this.#expiresAtMs - clock.wallMs();
    if (leftMs <= 0) {
      this.close('login_expired');
      return 0;
    }
    return Math.min(leftMs, this.#heartbeat(clock.monotonicMs()));
  }

  receive(data: Buffer, isBinary: boolean): void {
    if (!this.#open) return;
    this.#context.telemetry.frameReceived();
    this.#inbox ??= new Inbox(this, this.#context);
    this.#inbox.receive(isBinary ? undefined : data.toString());
  }

  failed(error: Error & { code?: string }): void {
    // Most are resets by peers that left; the close that follows is logged.
    this.#context.log.debug({ connection: this.id, reason: error.code ?? error.message }, 'connection failed');
  }

  gone(peerCode: number, peerReason: string): void {
    const wasOpen = this.#open;
    this.#open = false;
    this.#context.departures.add(() => {
      const { clock, log, telemetry, onGone } = this.#context;
      if (wasOpen) void this.#detach({ release: false });
      const code = this.#closeCode || peerCode;
      const by = this.#closeCode ? 'node' : 'peer';
      const durationMs = Math.round(clock.monotonicMs() - this.#openedAtMs);
      log.info({ connection: this.id, code, by, reason: peerReason, duration_ms: durationMs }, 'connection closed');
      telemetry.closed(code);
      onGone(this);
    });
  }

  #checkQueue(): void {
    if (this.#stream.writableLength <= this.#context.limits.maxQueueBytes) return;
    this.#context.telemetry.slowConsumer();
    this.close('slow_consumer');
  }

  /** @returns in how many ms to look again; 0 when the connection was closed */
  #heartbeat(nowMs: number): number {
    const { pingIntervalMs, pongTimeoutMs } = this.#context.limits;
    if (nowMs < this.#heartbeatAtMs) return this.#heartbeatAtMs - nowMs;
    const { bytesRead } = this.#stream;
    if (this.#awaitingPong && bytesRead === this.#bytesRead) {
      this.close('no_pong');
      return 0;
    }
    this.#awaitingPong = !this.#awaitingPong;
    if (this.#awaitingPong) {
      this.#bytesRead = bytesRead;
      this.#socket.ping();
    }
    this.#heartbeatAtMs = nowMs + (this.#awaitingPong ? pongTimeoutMs : pingIntervalMs - pongTimeoutMs);
    return this.#heartbeatAtMs - nowMs;
  }

  #closeSocket(reason: CloseReason): void {
    this.#closeCode = CLOSE_CODES[reason];
    this.#socket.close(this.#closeCode, reason);
  }

  async #detach(how: { release: boolean; holdMs?: number }): Promise<void> {
    const { log, sessions, wheel } = this.#context;
    this.#open = false;
    this.#inbox = undefined;
    wheel.remove(this);
    try {
      await sessions.closed(this, how);
    } catch (error) {
      // The lease runs out by itself, so a store that is away costs its remaining time and nothing else.
      log.warn({ error, connection: this.id }, 'leases not handed back');
    }
  }
}
