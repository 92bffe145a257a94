import { CLOSE_CODES } from '../protocol/close-codes.js';
import { decodeFrame } from '../protocol/codec.js';
import { HoldfastError } from '../protocol/errors.js';
import { type ClientMessage, type DecodedMessage, PROTOCOL_MINOR, type ServerMessage } from '../protocol/messages.js';
import { parsedPayload } from '../protocol/payload.js';
import type { FakeCredential } from './fake-credential.js';
import type { Party } from './fake-record.js';
import type { FakeSession } from './fake-session.js';
import type { FakeSocket, FarEnd } from './fake-socket.js';
import { later } from './later.js';

/** What may be allowed: see section 8 of PROTOCOL.md. */
export type Right = 'watch' | 'own' | 'send' | 'signal' | 'force';

/** What a connection needs of its gateway. */
export interface Node {
  readonly node: string;
  session(id: string): FakeSession;
  allows(right: Right, sessionId: string, principal: string): boolean;
  /** Before it is handled. @throws HoldfastError where the script refuses it */
  received(message: ClientMessage, connection: FakeConnection): void;
  gone(connection: FakeConnection): void;
}

const MAX_SUBSCRIPTIONS = 128;
const MAX_FRAME_BYTES = 65_536;
const MAX_BAD_FRAMES = 20;
const PING_INTERVAL_MS = 25_000;
const PONG_TIMEOUT_MS = 8_000;
const TOO_BIG = 1_009;

/** A connection as the gateway has it. */
export class FakeConnection implements Party, FarEnd {
  readonly id: string;
  readonly #node: Node;
  readonly #socket: FakeSocket;
  readonly #credential: FakeCredential | undefined;
  readonly #subscriptions = new Set<FakeSession>();
  #principal: string;
  #open = true;
  #badFrames = 0;
  #endSilence: () => void = () => {};

  /** @internal */
  constructor(id: string, principal: string, socket: FakeSocket, credential: FakeCredential | undefined, node: Node) {
    this.id = id;
    this.#principal = principal;
    this.#socket = socket;
    this.#credential = credential;
    this.#node = node;
    socket.open();
    this.send({
      type: 'welcome',
      connection_id: id,
      node: node.node,
      principal,
      ...(credential !== undefined && { expires_at: credential.begin(this) }),
      ping_interval_ms: PING_INTERVAL_MS,
      protocol_minor: PROTOCOL_MINOR,
      features: credential === undefined ? ['messages'] : ['messages', 'renew_login'],
      limits: { max_payload_bytes: MAX_FRAME_BYTES, max_subscriptions: MAX_SUBSCRIPTIONS, messages_per_second: 50 },
    });
  }

  get principal(): string {
    return this.#principal;
  }

  get open(): boolean {
    return this.#open;
  }

  /** What it came with; undefined for an anonymous one. */
  get credential(): FakeCredential | undefined {
    return this.#credential;
  }

  /** What it offered, tickets included. */
  get protocols(): readonly string[] {
    return this.#socket.protocols;
  }

  /** The ids of the sessions that it follows. */
  get sessions(): readonly string[] {
    return Array.from(this.#subscriptions, ({ id }) => id);
  }

  /** Sends any message, also one that no gateway would. */
  send(message: ServerMessage): void {
    if (this.#open) this.#socket.deliver(JSON.stringify(message));
  }

  /** Closes it, behind what it was sent. After 4001 to 4003 its sessions are free, else held. */
  close(code: number, options: { reason?: string; holdMs?: number } = {}): void {
    if (!this.#open) return;
    this.#detach(code >= CLOSE_CODES.revoked && code <= CLOSE_CODES.token_reuse ? 'revoked' : options);
    this.#socket.end(code, options.reason ?? '');
  }

  /** It breaks: what is under way is lost, the client hears 1006, and its sessions are held. */
  drop(): void {
    this.#detach({});
    this.#socket.break();
  }

  /** Half-open, or no longer. The gateway gives it up when no answer to a ping came. */
  silence(silent: boolean): void {
    if (!this.#open) return;
    this.#endSilence();
    if (silent) this.#endSilence = later(PING_INTERVAL_MS + PONG_TIMEOUT_MS, () => this.close(CLOSE_CODES.no_pong));
    this.#socket.silence(silent);
  }

  may(right: Right, sessionId: string): boolean {
    return this.#node.allows(right, sessionId, this.principal);
  }

  /** @internal @throws HoldfastError `forbidden` */
  require(right: Right, sessionId: string, field?: string): void {
    if (this.may(right, sessionId)) return;
    throw new HoldfastError('forbidden', `no right to ${right} this session`, field === undefined ? {} : { field });
  }

  /** @internal */
  restore(principal: string): void {
    this.#principal = principal;
  }

  /** @internal The gateway ends a subscription. */
  removed(session: FakeSession, reason: 'removed' | 'forbidden'): void {
    if (!this.#subscriptions.delete(session)) return;
    session.leave(this, reason === 'removed' ? 'removed' : 'revoked');
    this.send({ type: 'unsubscribed', session_id: session.id, reason });
  }

  /** @internal */
  gone(): void {
    this.#detach({});
  }

  /** @internal */
  receive(text: string): void {
    const bytes = new TextEncoder().encode(text).length;
    if (bytes > MAX_FRAME_BYTES) return this.close(TOO_BIG);
    const decoded = decodeFrame(text, bytes);
    if (decoded.ok) {
      this.#badFrames = 0;
      return this.#accept(messageOf(decoded.message));
    }
    this.#badFrames += decoded.counts ? 1 : 0;
    this.send({ type: 'error', retryable: false, ...decoded.error });
    if (this.#badFrames >= MAX_BAD_FRAMES) this.close(CLOSE_CODES.protocol_violation);
  }

  #accept(message: ClientMessage): void {
    if (message.type !== 'subscribe') return this.#answer(message, () => this.#handle(message));
    for (const subscription of message.sessions) {
      const one: ClientMessage = { ...message, sessions: [subscription] };
      this.#answer({ ...one, session_id: subscription.session_id }, () => this.#handle(one));
    }
  }

  #answer(message: ClientMessage & { session_id?: string }, handle: () => void): void {
    try {
      this.#node.received(message, this);
      handle();
    } catch (error) {
      if (!(error instanceof HoldfastError)) throw error;
      const { code, message: text, retryable, retryAfterMs, field } = error;
      const { id, session_id: sessionId } = message;
      this.send({
        type: 'error',
        code,
        message: text,
        retryable,
        ...(retryAfterMs !== undefined && { retry_after_ms: retryAfterMs }),
        ...(field !== undefined && { field }),
        ...(id !== undefined && { id }),
        ...(sessionId !== undefined && { session_id: sessionId }),
      });
    }
  }

  #handle(message: ClientMessage): void {
    const echo = message.id !== undefined && { id: message.id };
    switch (message.type) {
      case 'ping':
        return this.send({ type: 'pong', ...echo });
      case 'renew_login':
        if (this.#credential === undefined)
          throw new HoldfastError('no_login', 'this connection has no login to renew');
        return this.send({ type: 'login_renewed', ...echo, ...this.#credential.renew(message.access_token) });
      case 'subscribe':
        for (const subscription of message.sessions) {
          if (this.#subscriptions.size >= MAX_SUBSCRIPTIONS) {
            throw new HoldfastError('too_many_subscriptions', `A connection has at most ${MAX_SUBSCRIPTIONS}`);
          }
          const session = this.#node.session(subscription.session_id);
          session.subscribe(this, subscription, message.id);
          this.#subscriptions.add(session);
        }
        return;
      case 'unsubscribe': {
        const session = this.#node.session(message.session_id);
        session.unsubscribe(this);
        this.#subscriptions.delete(session);
        return this.send({ type: 'unsubscribe_ack', ...echo, session_id: message.session_id });
      }
      case 'release':
        this.#node.session(message.session_id).release(this);
        return this.send({ type: 'release_ack', ...echo, session_id: message.session_id });
      case 'claim':
        return this.#node.session(message.session_id).claim(this, message);
      case 'send':
        return this.#node.session(message.session_id).send(this, message);
      case 'signal':
        return this.#node.session(message.session_id).signal(this, message);
    }
  }

  #detach(how: 'revoked' | { holdMs?: number }): void {
    if (!this.#open) return;
    this.#open = false;
    this.#endSilence();
    this.#credential?.end();
    for (const session of this.#subscriptions) session.leave(this, how);
    this.#subscriptions.clear();
    this.#node.gone(this);
  }
}

function messageOf(request: DecodedMessage): ClientMessage {
  if (request.type !== 'send') return request;
  const { payload, ...send } = request;
  return { ...send, ...parsedPayload(payload) };
}
