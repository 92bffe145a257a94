import { fullJitterMs } from '../lib/backoff.js';
import type { ErrorCode } from '../protocol/error-codes.js';
import type {
  ClaimAck,
  OwnershipMessage,
  OwnershipReason,
  Position,
  ServerMessage,
  SubscribeAck,
  Subscription,
} from '../protocol/messages.js';
import { Emitter } from './emitter.js';
import { ClientError } from './errors.js';
import { Exchange } from './exchange.js';
import { Incoming, type MessageEvents } from './incoming.js';
import { type Operation, Operations } from './operations.js';
import { Outbox } from './outbox.js';
import { payloadOf } from './payload.js';
import { randomId } from './random-id.js';
import { type ErrorMessage, isOfToken, isTriedAgain } from './refusals.js';
import type { SessionLink } from './session-link.js';
import {
  IDLE,
  isSubscribed,
  type Ownership,
  ownershipOf,
  type SessionState,
  type StateEvent,
  type StopReason,
  transition,
} from './session-state.js';

export interface SessionOptions {
  /** `if_free` (default): become the owner on subscribing when nobody is. `never`: only with `claim()`. */
  claim?: 'if_free' | 'never';
  /**
   * Begin with what came after this position; `oldest`: with all that is kept. Default: with what comes from now on. Later
   * subscriptions, after a lost connection, always go on where the one before ended.
   */
  since?: Position | 'oldest';
}

export interface SessionEvents extends MessageEvents {
  state: { state: SessionState; previous: SessionState };
  /** Each change of ownership that the gateway tells of, the client's own included. */
  ownership: { ownership: Ownership; owner: boolean; reason: OwnershipReason };
  /** What the gateway refused without an operation to reject, and what ended the session. */
  error: ClientError;
}

type SessionMessage = Exclude<
  ServerMessage,
  { type: 'welcome' | 'pong' | 'reconnect' | 'login_expiring' | 'login_renewed' }
>;
type OwnershipLost = Extract<ServerMessage, { type: 'ownership_lost' }>;

const ENDS_OWNERSHIP: ReadonlySet<StopReason> = new Set<StopReason>(['unsubscribed', 'removed', 'forbidden']);
const RETRY_BACKOFF = { baseMs: 250, capMs: 5_000 };

/** One session of a client. Made by `client.session()`; stays subscribed over lost connections until it is stopped. */
export class Session {
  readonly id: string;
  readonly #events = new Emitter<SessionEvents>();
  readonly #link: SessionLink;
  readonly #operations: Operations;
  readonly #exchange = new Exchange();
  readonly #incoming: Incoming;
  readonly #outbox: Outbox;
  readonly #option: 'if_free' | 'never';
  /** What a new subscription asks for: the option, except after a release. */
  #claim: 'if_free' | 'never';
  #state: SessionState = IDLE;
  /** Sent and not acknowledged: sent again as it is, since the gateway may have acted on it. */
  #subscription: Subscription | undefined;
  #subscribeFailures = 0;

  /** @internal */
  constructor(id: string, options: SessionOptions, link: SessionLink) {
    this.id = id;
    this.#option = options.claim ?? 'if_free';
    this.#claim = this.#option;
    this.#link = link;
    this.#operations = new Operations(id, link.operationTimeoutMs);
    this.#incoming = new Incoming(this.#events, options.since);
    this.#outbox = new Outbox(id, link, () => isSubscribed(this.#state));
  }

  get state(): SessionState {
    return this.#state;
  }

  /** Up to where its messages have arrived; undefined before the first subscription. */
  get position(): Position | undefined {
    return this.#incoming.position;
  }

  /** @returns what takes the listener off again */
  on<E extends keyof SessionEvents>(event: E, listener: (value: SessionEvents[E]) => void): () => void {
    return this.#events.on(event, listener);
  }

  /**
   * Becomes the owner; resolves at once for one who is. While the connection is away it waits for it.
   * @param options `force`: also from another owner, with that right
   * @throws ClientError `session_owned`, `session_held`, `forbidden`, `timeout`, `stopped`, …
   */
  async claim(options: { force?: boolean } = {}): Promise<void> {
    this.#claim = this.#option;
    await this.#run('claim', options.force ?? false);
  }

  /**
   * Gives the session up and goes on watching, also over lost connections, until `claim()`. Resolves at once for one
   * who does not own it.
   * @throws ClientError `timeout`, `stopped`, …
   */
  async release(): Promise<void> {
    this.#claim = 'never';
    await this.#run('release');
  }

  /**
   * Ends the subscription; an owner frees the session at once. When no answer comes in time the session ends here all
   * the same, and at the gateway with its grace period.
   */
  async unsubscribe(): Promise<void> {
    if (this.#state.name === 'stopped') return;
    const isKnownThere = isSubscribed(this.#state) || this.#subscription !== undefined;
    if (!isKnownThere && this.#link.tokens.get(this.id) === undefined) return this.stop('unsubscribed');
    await this.#run('unsubscribe').catch(() => this.stop('unsubscribed'));
  }

  /**
   * Sends a message to everybody in the session, which only its owner may. While the connection is away it waits for it;
   * sent again after a lost connection it is still one message. Sends keep their order, except that one which the gateway
   * refused for now (`rate_limited`) may be overtaken by those that were on their way then. At most 256 wait.
   * @param data a JSON value, or bytes
   * @param options `idempotencyKey`: 1 to 255 visible ASCII characters; one is made up when absent. For 5 minutes the
   * same key is the same message, from whichever client of the principal
   * @throws ClientError `not_owner`, `forbidden`, `message_too_large`, `message_rejected`, `history_full`, `queue_full`,
   * `timeout` when it is not known whether it was sent, `stopped`, …
   * @throws TypeError for what JSON cannot say
   */
  async send(data: unknown, options: { idempotencyKey?: string } = {}): Promise<{ offset: number }> {
    const { idempotencyKey = randomId() } = options;
    this.#checkLife();
    const message = { type: 'send', session_id: this.id, idempotency_key: idempotencyKey, ...payloadOf(data) } as const;
    const { offset } = await this.#outbox.add<'send'>(message);
    return { offset };
  }

  /**
   * Tells the owner and the application something that is not kept: "stop", "approve". Sent at most once.
   * @param data a JSON value, or bytes
   * @returns whether there was an owner to be told
   * @throws ClientError as `send` does
   */
  async signal(data: unknown): Promise<{ owner: boolean }> {
    this.#checkLife();
    const { owner } = await this.#outbox.add<'signal'>({ type: 'signal', session_id: this.id, ...payloadOf(data) });
    return { owner };
  }

  async #run(kind: Operation['kind'], force = false): Promise<void> {
    this.#checkLife();
    const done = this.#operations.add(kind, force, () => this.#next());
    this.#next();
    await done;
  }

  #checkLife(): void {
    if (this.#state.name !== 'stopped') return;
    throw new ClientError('stopped', 'the session has ended', { sessionId: this.id });
  }

  /** @internal What to send to subscribe on a new connection; undefined when nothing is to be sent now. */
  takeSubscription(requestId: string): Subscription | undefined {
    if (this.#state.name === 'stopped' || isSubscribed(this.#state) || this.#exchange.busy) return undefined;
    if (this.#subscription === undefined) {
      const token = this.#link.tokens.get(this.id);
      const { since } = this.#incoming;
      this.#subscription = {
        session_id: this.id,
        claim: this.#operations.endsOwnership ? 'never' : this.#claim,
        ...(token !== undefined && { reconnect_token: token }),
        attempt_id: randomId(),
        ...(since !== undefined && { since }),
      };
    }
    this.#expectAnswer(requestId, undefined);
    return this.#subscription;
  }

  /** @internal The connection is being made. */
  connecting(): void {
    this.#apply({ type: 'connect' });
  }

  /** @internal The connection is lost, and with it whatever answer was on its way. */
  disconnected(): void {
    this.#exchange.reset();
    this.#apply({ type: 'disconnect' });
    this.#outbox.disconnected();
  }

  /** @internal */
  receive(message: SessionMessage): void {
    switch (message.type) {
      case 'subscribe_ack':
        return this.#onSubscribed(message);
      case 'claim_ack':
        return this.#onClaimed(message);
      case 'release_ack':
        return this.#onReleased(message.id);
      case 'unsubscribe_ack':
        if (this.#exchange.awaits(message.id)) this.stop('unsubscribed');
        return;
      case 'ownership':
        return this.#onOwnership(message);
      case 'ownership_lost':
        return this.#onLost(message);
      case 'unsubscribed':
        return this.stop(message.reason);
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

  /** @internal True for the request that this session waits for. */
  awaits(requestId: string | undefined): boolean {
    return this.#exchange.awaits(requestId) || this.#outbox.awaits(requestId);
  }

  /** @internal Ends the session here; the gateway is told by what led to this. */
  stop(reason: StopReason, error?: { code: ErrorCode; message: string }): void {
    if (this.#state.name === 'stopped') return;
    this.#exchange.reset();
    // In all other cases the session may still be held, for the next run.
    if (ENDS_OWNERSHIP.has(reason)) this.#link.tokens.delete(this.id);
    this.#apply({ type: 'stop', reason, ...(error !== undefined && { code: error.code }) });
    this.#operations.stop();
    this.#outbox.stop();
    this.#link.ended(this);
    if (error !== undefined) this.#emitError(error);
  }

  #onSubscribed(ack: SubscribeAck): void {
    if (!this.#exchange.awaits(ack.id)) return;
    this.#exchange.answered();
    this.#subscription = undefined;
    this.#subscribeFailures = 0;
    this.#keepToken(ack);
    this.#incoming.subscribed(ack);
    this.#apply({ type: 'snapshot', owner: ack.owner, ownership: ownershipOf(ack) });
    this.#outbox.flush();
    this.#next();
  }

  #onClaimed(ack: ClaimAck): void {
    if (!this.#exchange.awaits(ack.id)) return;
    const operation = this.#exchange.answered();
    this.#keepToken(ack);
    this.#apply({ type: 'change', owner: ack.owner, ownership: ownershipOf(ack), reset: false });
    operation?.settle();
    this.#next();
  }

  #onReleased(id: string | undefined): void {
    if (!this.#exchange.awaits(id)) return;
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
    if (token !== undefined) this.#link.tokens.set(this.id, token);
    else if (message.state === 'free') this.#link.tokens.delete(this.id);
    const isNews = this.#apply({ type: 'change', owner, ownership, reset: reason === 'lost' });
    if (isNews) this.#events.emit('ownership', { ownership, owner, reason });
    this.#next();
  }

  #onLost({ reason, owner_epoch: ownerEpoch }: OwnershipLost): void {
    const isNews = this.#apply({ type: 'lost', reason, ownerEpoch });
    // A lease that is only unconfirmed may be confirmed again, or be taken back with the token.
    if (isNews && reason !== 'lease_unconfirmed') this.#link.tokens.delete(this.id);
  }

  #onError(message: ErrorMessage): void {
    if (this.#outbox.awaits(message.id)) return this.#outbox.refused(message);
    if (!this.#exchange.awaits(message.id)) return this.#emitError(message);
    const operation = this.#exchange.answered();
    if (operation === undefined) return this.#onSubscribeRefused(message);
    const { code, retry_after_ms: retryAfterMs } = message;
    if (isTriedAgain(message)) return this.#retry(operation.failures++, message);
    if (code === 'not_owner' && operation.kind === 'release') operation.settle();
    else operation.settle(new ClientError(code, message.message, { sessionId: this.id, retryAfterMs }));
    this.#next();
  }

  #onSubscribeRefused(message: ErrorMessage): void {
    if (isOfToken(message) && this.#subscription?.reconnect_token !== undefined) {
      this.#link.tokens.delete(this.id);
      this.#subscription = undefined;
      this.#link.wantSubscribe();
    } else if (message.retryable) this.#retry(this.#subscribeFailures++, message);
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

  #retry(failures: number, { retry_after_ms: retryAfterMs = 0 }: ErrorMessage): void {
    const delayMs = Math.max(retryAfterMs, fullJitterMs(failures, RETRY_BACKOFF));
    this.#exchange.wait(delayMs, () => {
      if (isSubscribed(this.#state)) this.#next();
      else this.#link.wantSubscribe();
    });
  }

  /** The owner's token is the one it was told last; one that is no longer good for anything is dropped. */
  #keepToken({ reconnect_token: token }: SubscribeAck | ClaimAck): void {
    if (token === undefined) this.#link.tokens.delete(this.id);
    else this.#link.tokens.set(this.id, token);
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
    this.#events.emit('state', { state, previous });
    return true;
  }

  #emitError(error: Pick<ErrorMessage, 'code' | 'message' | 'retry_after_ms'>): void {
    const details = { sessionId: this.id, retryAfterMs: error.retry_after_ms };
    this.#events.emit('error', new ClientError(error.code, error.message, details));
  }
}
