import type { Socket } from 'node:net';
import { WebSocket } from 'ws';
import { equalJitterMs } from '../lib/backoff.js';
import { CLOSE_CODES, type CloseReason } from '../protocol/close-codes.js';
import { encode, plainSendAck } from '../protocol/codec.js';
import { HoldfastError } from '../protocol/errors.js';
import { PROTOCOL_MINOR, type ServerMessage } from '../protocol/messages.js';
import { frameText } from '../session/frame-encoder.js';
import type { SessionRights } from '../session/rights.js';
import type { Subscriber } from '../session/subscriber.js';
import type { AddressSlot } from './addresses.js';
import type { Identity } from './authenticate.js';
import type { ConnectionContext } from './connection-context.js';
import { Drained } from './drained.js';
import { Inbox } from './inbox.js';
import type { LiveCredential } from './live-credential.js';
import { NO_SLOT, type WheelItem } from './timer-wheel.js';
import type { TurnWriter } from './turn-writes.js';

/** The upgraded TCP or TLS stream. Heartbeats look at what it read: any inbound byte is a sign of life. */
type Stream = Pick<Socket, 'bytesRead' | 'cork' | 'uncork' | 'write' | 'writableLength'>;

/** How long a connection that leaves waits for a store that is away. */
const LEAVE_PATIENCE_MS = 1_000;

/** Connections that were made together do not leave together. */
const AGE_SPREAD = 0.1;

/** Whoever says so, the node or the client: what such a connection owned is not held for it. */
function endsLogin(code: number): boolean {
  return code >= CLOSE_CODES.revoked && code <= CLOSE_CODES.token_reuse;
}

/** Carries its connection, so that the listeners are functions shared by all sockets and not closures of each. */
export class GatewaySocket extends WebSocket {
  connection: Connection | undefined = undefined;
}

function onMessage(this: WebSocket, data: Buffer, isBinary: boolean): void {
  (this as GatewaySocket).connection?.receive(isBinary ? undefined : data.toString(), data.length);
}

function onError(this: WebSocket, error: Error & { code?: string }): void {
  (this as GatewaySocket).connection?.failed(error);
}

function onClose(this: WebSocket, code: number, reason: Buffer): void {
  (this as GatewaySocket).connection?.gone(code, reason.toString());
}

/** One WebSocket. An idle one owns no timer, no map and no closure. */
export class Connection implements Subscriber, WheelItem, TurnWriter {
  readonly id: string;
  readonly anonymous: boolean;
  readonly compresses: boolean;
  rights: SessionRights;
  readonly addressSlot: AddressSlot;
  wheelSlot = NO_SLOT;

  readonly #context: ConnectionContext;
  #principal: string;
  readonly #socket: GatewaySocket;
  readonly #stream: Stream;
  /** Of a connection that has one and can lose it. */
  readonly #credential: LiveCredential | undefined;
  readonly #openedAtMs: number;
  #open = true;
  #closeCode = 0;
  #inbox: Inbox | undefined = undefined;
  #drained: Drained | undefined = undefined;
  #bytesRead = 0;
  #awaitingPong = false;
  #heartbeatAtMs: number;
  readonly #agedAtMs: number;

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
    this.#credential = identity.credential;
    this.#socket = socket;
    this.compresses = socket.extensions !== '';
    this.#stream = stream;
    this.#context = context;
    this.#openedAtMs = context.clock.monotonicMs();
    // Not all after the same time, or a storm of connections would come back as a storm of pings.
    this.#heartbeatAtMs = this.#openedAtMs + equalJitterMs(context.limits.pingIntervalMs);
    const { maxAgeMs } = context.limits;
    const age = maxAgeMs * (1 - AGE_SPREAD + 2 * AGE_SPREAD * Math.random());
    this.#agedAtMs = maxAgeMs === 0 ? Number.POSITIVE_INFINITY : this.#openedAtMs + age;
    socket.connection = this;
    socket.on('message', onMessage);
    socket.on('error', onError);
    socket.on('close', onClose);
    this.#credential?.registration.bind(this);
  }

  get open(): boolean {
    return this.#open;
  }

  get principal(): string {
    return this.#principal;
  }

  get login(): { id: string; handle: string } | undefined {
    return this.#credential?.login;
  }

  get queuedBytes(): number {
    return this.#stream.writableLength;
  }

  restorePrincipal(principal: string): void {
    this.#principal = principal;
  }

  /** Sends the first frame and begins the heartbeat. */
  welcome(): void {
    const { nodeId, limits } = this.#context;
    const credential = this.#credential;
    this.send({
      type: 'welcome',
      connection_id: this.id,
      node: nodeId,
      principal: this.principal,
      ...(credential === undefined ? {} : { expires_at: credential.expiresAtMs }),
      ping_interval_ms: limits.pingIntervalMs,
      protocol_minor: PROTOCOL_MINOR,
      features: credential === undefined ? ['messages'] : ['messages', 'renew_login'],
      limits: {
        max_payload_bytes: limits.maxPayloadBytes,
        max_subscriptions: limits.maxSubscriptions,
        messages_per_second: limits.frames.perSecond,
      },
    });
    this.#schedule();
  }

  /** @throws HoldfastError `no_login`, and as LiveCredential.renew */
  async renewLogin(accessToken: string | undefined, id: string | undefined): Promise<void> {
    const { clock, log, sessions } = this.#context;
    const credential = this.#credential;
    if (credential === undefined) throw new HoldfastError('no_login', 'this connection has no login to renew');
    const { rights, accessToken: fresh } = await credential.renew(accessToken, clock.wallMs());
    if (!this.#open) return;
    log.debug({ connection: this.id, expires_at: credential.expiresAtMs }, 'login renewed');
    this.rights = rights;
    this.send({
      type: 'login_renewed',
      ...(id === undefined ? {} : { id }),
      ...(fresh === undefined ? {} : { access_token: fresh }),
      expires_at: credential.expiresAtMs,
    });
    sessions.recheckRights(this);
    this.#schedule();
  }

  send(message: ServerMessage): void {
    if (!this.#open) return;
    // ASCII, so that its bytes need not be counted.
    const ascii = message.type === 'send_ack' ? plainSendAck(message) : undefined;
    this.#context.turnWrites.add(this, ascii === undefined ? encode(message) : frameText(ascii, '', 0));
  }

  sendFrame(frame: Buffer): void {
    if (this.#open) this.#context.turnWrites.add(this, frame);
  }

  sendFrames(frames: Buffer): void {
    const { turnWrites } = this.#context;
    if (!turnWrites.has(this)) return this.writeNow(frames);
    // What was gathered goes first, and in the same system call.
    this.#stream.cork();
    turnWrites.flush(this);
    this.writeNow(frames);
    this.#stream.uncork();
  }

  /** For `TurnWrites`. */
  writeNow(frames: Buffer): void {
    // After the close frame, which ws sends by itself when the peer closes, nothing may follow (RFC 6455 section 5.5.1).
    if (!this.#open || this.#socket.readyState !== WebSocket.OPEN) return;
    // All data frames are written here and ws only writes control frames, so it keeps nothing back.
    this.#stream.write(frames);
    if (this.#stream.writableLength <= this.#context.limits.maxQueueBytes) return;
    this.#context.telemetry.slowConsumer();
    this.close('slow_consumer');
  }

  onDrained(callback: () => void): void {
    this.#drained ??= new Drained(this.#stream, () => this.#open);
    this.#drained.add(callback);
  }

  /** Says when to come back, before a close with `restart`. */
  hint(afterMs: number, jitterMs: number, reason: 'drain' | 'rebalance'): void {
    this.send({ type: 'reconnect', after_ms: afterMs, jitter_ms: jitterMs, reason });
  }

  /** Closes for a restart, where possible after the leases are held for `holdMs`. */
  async leave(holdMs: number): Promise<void> {
    this.#context.turnWrites.flush(this);
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
    this.#context.turnWrites.flush(this);
    if (!this.#open) return;
    const code = CLOSE_CODES[reason];
    void this.#detach({ release: endsLogin(code) });
    this.#closeSocket(reason);
  }

  /** Ends the TCP connection without a closing handshake. */
  terminate(): void {
    this.#socket.terminate();
  }

  /** Checks the credential's end, the age and the heartbeat; the wheel's callback. */
  wake(): number {
    const { clock, onAged } = this.#context;
    const nowMs = clock.monotonicMs();
    const delayMs = this.#credential === undefined ? Number.POSITIVE_INFINITY : this.#checkCredential(this.#credential);
    if (this.#open && nowMs >= this.#agedAtMs) onAged(this);
    return this.#open ? Math.min(delayMs, this.#agedAtMs - nowMs, this.#heartbeat(nowMs)) : 0;
  }

  /** A frame. @param text undefined for a binary one @param bytes of it, UTF-8 */
  receive(text: string | undefined, bytes: number): void {
    if (!this.#open) return;
    this.#context.telemetry.frameReceived();
    this.#credential?.registration.frame();
    this.#inbox ??= new Inbox(this, this.#context);
    this.#inbox.receive(text, bytes);
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
      if (wasOpen) void this.#detach({ release: endsLogin(peerCode) });
      const code = this.#closeCode || peerCode;
      const by = this.#closeCode ? 'node' : 'peer';
      const durationMs = Math.round(clock.monotonicMs() - this.#openedAtMs);
      log.info({ connection: this.id, code, by, reason: peerReason, duration_ms: durationMs }, 'connection closed');
      telemetry.closed(code);
      onGone(this);
    });
  }

  #schedule(): void {
    const { wheel } = this.#context;
    wheel.remove(this);
    const delayMs = this.#open ? this.wake() : 0;
    if (delayMs > 0) wheel.add(this, delayMs);
  }

  /** @returns in how many ms to look again */
  #checkCredential(credential: LiveCredential): number {
    const { clock, limits } = this.#context;
    const { verdict, nextMs } = credential.look(clock.wallMs(), limits.renewalMarginMs);
    if (verdict === 'expired') this.close('login_expired');
    if (verdict === 'expiring') this.send({ type: 'login_expiring', expires_at: credential.expiresAtMs });
    return nextMs;
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
    if (this.#awaitingPong) this.#credential?.registration.pong();
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
    this.#drained = undefined;
    wheel.remove(this);
    this.#credential?.registration.remove();
    try {
      await sessions.closed(this, how);
    } catch (error) {
      // The lease runs out by itself, so a store that is away costs its remaining time and nothing else.
      log.warn({ error, connection: this.id }, 'leases not handed back');
    }
  }
}
