import type {
  ClaimAck,
  OwnershipMessage,
  Position,
  ServerMessage,
  SubscribeAck,
  Subscription,
} from '../protocol/messages.js';
import { onAbort } from './abort.js';
import { Emitter } from './emitter.js';
import { ClientError } from './errors.js';
import { Exchange } from './exchange.js';
import { Incoming } from './incoming.js';
import { type Operation, Operations } from './operations.js';
import { type Answers, Outbox, type Outgoing } from './outbox.js';
import { type ErrorMessage, isTriedAgain, refusalOf } from './refusals.js';
import { requestDelayMs } from './retry-plan.js';
import { Session, type SessionEvents, type SessionOptions } from './session.js';
import type { SessionLink } from './session-link.js';
import {
  compareOwnership,
  IDLE,
  isSubscribed,
  ownershipOf,
  type SessionState,
  type StateEvent,
  type StopReason,
  transition,
} from './session-state.js';
import { Subscribing } from './subscribing.js';

type SessionMessage = Exclude<
  ServerMessage,
  { type: 'welcome' | 'pong' | 'reconnect' | 'login_expiring' | 'login_renewed' }
>;
type OwnershipLost = Extract<ServerMessage, { type: 'ownership_lost' }>;

const ENDS_OWNERSHIP: ReadonlySet<StopReason> = new Set<StopReason>(['unsubscribed', 'removed', 'forbidden']);

/** What a session does on its own: subscribes, asks, takes in what arrives. `Session` is its face to the application. */
export class SessionCore {
  readonly id: string;
  readonly events = new Emitter<SessionEvents>();
  readonly session: Session;
  readonly #link: SessionLink;
  readonly #operations: Operations;
  readonly #exchange = new Exchange();
  readonly #incoming: Incoming;
  readonly #outbox: Outbox;
  readonly #subscribing: Subscribing;
  #state: SessionState = IDLE;
  #lostAtMs = 0;
  #unlisten = (): void => {};

  constructor(id: string, { claim = 'if_free', since, signal }: SessionOptions, link: SessionLink) {
    this.id = id;
    this.session = new Session(this);
    this.#link = link;
    this.#subscribing = new Subscribing(id, claim, link.tokens);
    this.#operations = new Operations(id, link.operationTimeoutMs);
    this.#incoming = new Incoming(this.events, since);
    this.#outbox = new Outbox(id, link, () => isSubscribed(this.#state));
    this.#unlisten = onAbort(signal, () => void this.unsubscribe());
  }

  get state(): SessionState {
    return this.#state;
  }

  get position(): Position | undefined {
    return this.#incoming.position;
  }

  async claim(force?: boolean, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    this.#subscribing.wants(false);
    await this.#run('claim', signal, force);
  }

  async release(signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    this.#subscribing.wants(true);
    await this.#run('release', signal);
  }

  async unsubscribe(signal?: AbortSignal): Promise<void> {
    if (this.#state.name === 'stopped') return;
    signal?.throwIfAborted();
    if (!isSubscribed(this.#state) && !this.#subscribing.mayBeKnown) return this.stop('unsubscribed');
    await this.#run('unsubscribe', signal).catch((error: unknown) => {
      if (signal?.aborted) throw error;
      const isSubscriber = isSubscribed(this.#state);
      this.stop('unsubscribed');
      // The gateway would keep it for the connection, and with it what it owns, for as long as that lives.
      if (isSubscriber) this.#link.dropConnection();
    });
  }

  /** @returns the gateway's answer */
  async post<K extends keyof Outgoing>(message: Outgoing[K], signal?: AbortSignal): Promise<Answers[K]> {
    signal?.throwIfAborted();
    this.#checkLife();
    return this.#outbox.add<K>(message, signal);
  }

  async #run(kind: Operation['kind'], signal: AbortSignal | undefined, force = false): Promise<void> {
    this.#checkLife();
    const done = this.#operations.add(kind, { force, signal, onGivenUp: () => this.#next() });
    this.#next();
    await done;
  }

  #checkLife(): void {
    if (this.#state.name !== 'stopped') return;
    throw new ClientError('stopped', 'the session has ended', { sessionId: this.id });
  }

  /** Whether there is anything to be sent to subscribe now. */
  get wantsSubscription(): boolean {
    return this.#state.name !== 'stopped' && !isSubscribed(this.#state) && !this.#exchange.busy;
  }

  /** How long the client may wait between two attempts to connect; Infinity for what it does not own. */
  get maxWaitMs(): number {
    const state = this.#state;
    if (state.name === 'owner' || state.name === 'unconfirmed') return state.ownership.graceMs / 2;
    if (state.name !== 'reconnecting' || !state.wasOwner) return Number.POSITIVE_INFINITY;
    const { graceMs } = state.ownership;
    const heldForMs = this.#lostAtMs + graceMs - performance.now();
    // Gateways that were all away free nothing for longer than the grace period once the first is back.
    return heldForMs > 0 ? heldForMs / 2 : graceMs;
  }

  /** What to send to subscribe on a new connection. */
  takeSubscription(requestId: string): Subscription {
    this.#expectAnswer(requestId, undefined);
    return this.#subscribing.request(this.#incoming.since, this.#operations.endsOwnership);
  }

  /** The connection is being made. */
  connecting(): void {
    this.#apply({ type: 'connect' });
  }

  /** The connection is lost, and with it whatever answer was on its way. */
  disconnected(): void {
    this.#exchange.reset();
    if (this.#apply({ type: 'disconnect' })) this.#lostAtMs = performance.now();
    this.#outbox.disconnected();
  }

  receive(message: SessionMessage): void {
    switch (message.type) {
      case 'subscribe_ack':
        return this.#onSubscribed(message);
      case 'claim_ack':
        return this.#onClaimed(message);
      case 'release_ack':
        return this.#onReleased(message.id);
      case 'unsubscribe_ack':
        if (this.#exchange.awaits(message.id, 'unsubscribe')) this.stop('unsubscribed');
        return;
      case 'ownership':
        return this.#onOwnership(message);
      case 'ownership_lost':
        return this.#onLost(message);
      case 'unsubscribed':
        return this.stop(message.reason === 'forbidden' ? 'forbidden' : 'removed');
      case 'send_ack':
      case 'signal_ack':
        return this.#outbox.answered(message);
      case 'message':
      case 'reset':
      case 'lagged':
      case 'presence':
      case 'signal':
        // Nothing of a session precedes the answer to its `subscribe`.
        if (isSubscribed(this.#state)) this.#incoming.receive(message);
        return;
      case 'error':
        return this.#onError(message);
    }
  }

  /** True for the request that this session waits for. */
  awaits(requestId: string | undefined): boolean {
    return this.#exchange.awaits(requestId) || this.#outbox.awaits(requestId);
  }

  /** Ends the session here; the gateway is told by what led to this. */
  stop(reason: StopReason, error?: ErrorMessage): void {
    if (this.#state.name === 'stopped') return;
    this.#unlisten();
    this.#exchange.reset();
    // In all other cases the session may still be held, for the next run.
    if (ENDS_OWNERSHIP.has(reason)) this.#link.tokens.delete(this.id);
    // Before anybody hears of it: a listener may want the session anew.
    this.#link.ended(this);
    this.#apply({ type: 'stop', reason, ...(error !== undefined && { code: error.code }) });
    this.#operations.stop();
    this.#outbox.stop();
    if (error !== undefined) this.events.emit('error', refusalOf(error, this.id));
  }

  #onSubscribed(ack: SubscribeAck): void {
    if (!this.#exchange.awaits(ack.id, 'subscribe')) return;
    this.#exchange.answered();
    this.#subscribing.keep(ack.reconnect_token);
    this.#incoming.subscribed(ack);
    this.#subscribing.acknowledged();
    this.#apply({ type: 'snapshot', owner: ack.owner, ownership: ownershipOf(ack) });
    this.#outbox.flush();
    this.#next();
  }

  #onClaimed(ack: ClaimAck): void {
    if (!this.#exchange.awaits(ack.id, 'claim')) return;
    const operation = this.#exchange.answered();
    this.#subscribing.keep(ack.reconnect_token);
    const ownership = ownershipOf(ack);
    // The event that tells of it may have come first.
    const isKnown = this.#state.name === 'owner' && compareOwnership(ownership, this.#state.ownership) === 0;
    if (!isKnown) this.#apply({ type: 'change', owner: ack.owner, ownership, reset: false });
    operation?.settle();
    this.#next();
  }

  #onReleased(id: string | undefined): void {
    if (!this.#exchange.awaits(id, 'release')) return;
    const operation = this.#exchange.answered();
    if (operation !== undefined) {
      const isNews = this.#apply({ type: 'released', ownerEpoch: operation.ownerEpoch });
      if (isNews) this.#link.tokens.delete(this.id);
      operation.settle();
    }
    this.#next();
  }

  #onOwnership(message: OwnershipMessage): void {
    if (!isSubscribed(this.#state)) return;
    const { graceMs } = this.#state.ownership;
    const ownership = ownershipOf({ ...message, grace_ms: graceMs });
    const owner = message.owner === true;
    const { reason, reconnect_token: token } = message;
    // Overtaken by an answer, whose token is the newer one.
    if (reason !== 'lost' && compareOwnership(ownership, this.#state.ownership) < 0) return;
    if (token !== undefined) this.#link.tokens.set(this.id, token);
    else if (message.state === 'free') this.#link.tokens.delete(this.id);
    this.#apply({ type: 'change', owner, ownership, reset: reason === 'lost' });
    this.events.emit('ownership', { ownership, owner, reason });
    this.#next();
  }

  #onLost({ reason, owner_epoch: ownerEpoch }: OwnershipLost): void {
    const isNews = this.#apply({ type: 'lost', reason, ownerEpoch });
    // A lease that is only unconfirmed may be confirmed again, or be taken back with the token.
    if (isNews && reason !== 'lease_unconfirmed') this.#link.tokens.delete(this.id);
  }

  #onError(message: ErrorMessage): void {
    if (this.#outbox.awaits(message.id)) return this.#outbox.refused(message);
    if (!this.#exchange.awaits(message.id)) {
      // With an id: the answer to something that was given up.
      if (message.id === undefined) this.events.emit('error', refusalOf(message, this.id));
      return;
    }
    const operation = this.#exchange.answered();
    if (operation === undefined) return this.#onSubscribeRefused(message);
    if (isTriedAgain(message)) return this.#retry(operation.failures++, message);
    if (message.code === 'not_owner' && operation.kind === 'release') operation.settle();
    else operation.settle(refusalOf(message, this.id));
    this.#next();
  }

  #onSubscribeRefused(message: ErrorMessage): void {
    if (this.#subscribing.refused(message)) this.#link.wantSubscribe();
    else if (message.retryable) this.#retry(this.#subscribing.failures++, message);
    else this.stop('refused', message);
  }

  /**
   * Sends the next operation, or the current one again, unless something is on its way already. That it came true is
   * not enough to be done with one on its way: only the answer to a claim brings the token.
   */
  #next(): void {
    const { current: operation } = this.#operations;
    if (operation === undefined || this.#exchange.busy || !isSubscribed(this.#state)) return;
    const owns = this.#state.name === 'owner';
    const isDone =
      operation.kind === 'claim' ? owns : operation.kind === 'release' && !owns && this.#state.name !== 'unconfirmed';
    if (isDone) {
      operation.settle();
      return this.#next();
    }
    operation.ownerEpoch = this.#state.ownership.ownerEpoch;
    const id = this.#link.nextRequestId();
    this.#expectAnswer(id, operation);
    this.#link.send({ ...operation.message, id });
  }

  #retry(failures: number, { retry_after_ms: retryAfterMs }: ErrorMessage): void {
    this.#exchange.wait(requestDelayMs(failures, retryAfterMs), () => {
      if (isSubscribed(this.#state)) this.#next();
      else this.#link.wantSubscribe();
    });
  }

  #expectAnswer(id: string, operation: Operation | undefined): void {
    this.#exchange.begin(id, operation, this.#link.requestTimeoutMs, () => this.#link.dropConnection());
  }

  /** @returns whether the state is another now */
  #apply(event: StateEvent): boolean {
    const previous = this.#state;
    const state = transition(previous, event);
    if (state === previous) return false;
    this.#state = state;
    this.events.emit('state', { state, previous });
    return true;
  }
}
