import { sha256 } from '../crypto/hash.js';
import { HoldfastError } from '../protocol/errors.js';
import type { HistoryPage, NewMessage, PublishResult } from '../protocol/http.js';
import type { ClientMessage, Payload } from '../protocol/messages.js';
import { callerOf } from './access.js';
import type { Lease } from './leases.js';
import { messageTail, payloadText, storedMessage } from './message-frame.js';
import type { HistoryRange, ItemResult, MessageItem } from './message-ports.js';
import { MessageWriter, type Written } from './message-writer.js';
import { confirmedLease, OwnerChanges } from './owner-changes.js';
import type { SignalNotice } from './ports.js';
import { idempotencyOf, publicationOf } from './publication.js';
import type { Right } from './rights.js';
import { SendQuota } from './send-quota.js';
import type { SessionNode } from './session-node.js';
import type { Subscriber } from './subscriber.js';

type Send = Extract<ClientMessage, { type: 'send' }>;
type Idempotency = ReturnType<typeof idempotencyOf>;
type Signal = Extract<ClientMessage, { type: 'signal' }>;

/** What is said in sessions: by their owners, by watchers to the owner, and by the application. */
export class Conversation {
  readonly #node: SessionNode;
  readonly #writer: MessageWriter;
  readonly #quota = new SendQuota();
  /** The last question to the application about a message of each connection. */
  readonly #turns = new WeakMap<Subscriber, Promise<unknown>>();

  constructor(node: SessionNode) {
    this.#node = node;
    const { messages, clock, bootId, settingsOf } = node.deps;
    const retentionOf = (sessionId: string) => settingsOf(sessionId).retention;
    this.#writer = new MessageWriter({ messages, clock, writerId: bootId, retentionOf });
  }

  /**
   * Stores and publishes a message of the owner, and acknowledges it. Calls of one turn keep their order.
   * @throws HoldfastError `not_subscribed`, `forbidden`, `not_owner`, `ownership_unconfirmed`, `invalid_field`,
   * `message_too_large`, `rate_limited`, `message_rejected`, `application_unavailable`, `idempotency_conflict`,
   * `history_full`, `store_unavailable`
   */
  async send(subscriber: Subscriber, message: Send): Promise<void> {
    const { id, session_id: sessionId } = message;
    try {
      const asking = this.#require(subscriber, 'send', sessionId);
      if (asking !== undefined) await asking;
      const lease = this.#leaseFor(subscriber, message);
      const offset =
        lease === undefined
          ? await this.#repeat(subscriber, message)
          : this.#accepted(await this.#sendAs(lease, message), 'owner');
      const ownerEpoch = lease?.epoch ?? this.#node.hub.get(sessionId)?.view?.epoch ?? 0;
      const ack = { type: 'send_ack', session_id: sessionId, offset, owner_epoch: ownerEpoch } as const;
      subscriber.send(id === undefined ? ack : { ...ack, id });
    } catch (error) {
      this.#countRefusal(error);
      throw error;
    }
  }

  /**
   * Passes a watcher's message to the owner and the application, and acknowledges it.
   * @throws HoldfastError `not_subscribed`, `forbidden`, `invalid_field`, `message_too_large`,
   * `application_unavailable`, `store_unavailable`
   */
  async signal(subscriber: Subscriber, message: Signal): Promise<void> {
    const { id, session_id: sessionId } = message;
    try {
      const asking = this.#require(subscriber, 'signal', sessionId);
      if (asking !== undefined) await asking;
      const payload = payloadOf(message);
      this.#measure(sessionId, payloadText(payload));
      const { bus, application, telemetry } = this.#node.deps;
      const { id: connectionId, principal } = subscriber;
      await Promise.all([
        bus.publish({ kind: 'signal', sessionId, connectionId, principal, payload }),
        application.signalled(callerOf(subscriber, sessionId), payload),
      ]);
      telemetry.signalled();
      const owner = this.#node.hub.get(sessionId)?.view?.state === 'owned';
      subscriber.send({ type: 'signal_ack', ...(id !== undefined && { id }), session_id: sessionId, owner });
    } catch (error) {
      this.#countRefusal(error);
      throw error;
    }
  }

  /** A signal from any node: goes to the owner, if it is here. */
  deliverSignal({ sessionId, connectionId, principal, payload }: SignalNotice): void {
    const { leases, deps } = this.#node;
    leases.get(sessionId)?.subscriber.send({
      type: 'signal',
      session_id: sessionId,
      connection_id: connectionId,
      ...(deps.settingsOf(sessionId).exposePrincipals && { principal }),
      ...payload,
    });
  }

  /** Publishes for the application. Never rejects: what becomes of each message is in its result. */
  publish(messages: readonly (NewMessage & { session_id: string })[]): Promise<PublishResult[]> {
    return Promise.all(messages.map((message) => this.#publish(message)));
  }

  /** @param limit 1 to 1,000 @throws HoldfastError `store_unavailable` */
  async history(sessionId: string, range: HistoryRange, limit: number): Promise<HistoryPage> {
    const { messages } = this.#node.deps;
    let read = await messages.read(sessionId, range, limit);
    if (read.state.epoch === '') {
      // The session gets its first position: the caller is to have one that a subscription can begin with.
      await messages.states([sessionId]);
      read = await messages.read(sessionId, range, limit);
    }
    const { state, entries } = read;
    return {
      session_id: sessionId,
      messages: entries.map(storedMessage),
      position: { epoch: state.epoch, offset: state.top },
      first_offset: state.first,
    };
  }

  /** Removes the messages up to and including `through`. @throws HoldfastError `store_unavailable` */
  async truncate(sessionId: string, through: number): Promise<void> {
    await this.#node.deps.messages.truncate(sessionId, through);
  }

  /**
   * Frees the session, ends all subscriptions and removes its messages. A call that failed half-way may be repeated.
   * @throws HoldfastError `session_busy`, `store_unavailable`
   */
  async remove(sessionId: string): Promise<void> {
    const changes = new OwnerChanges(this.#node);
    await changes.remove(sessionId).catch((error: unknown) => {
      const neverOwned = error instanceof HoldfastError && error.code === 'not_found';
      if (!neverOwned) throw error;
    });
    await changes.removeSubscriptions(sessionId, {});
    await this.#node.deps.messages.remove(sessionId);
  }

  /** @returns undefined where it is known already: most messages wait for nothing but the store */
  #require(subscriber: Subscriber, right: Right, sessionId: string): Promise<void> | undefined {
    const { access } = this.#node;
    if (!this.#node.follows(subscriber, sessionId)) {
      throw new HoldfastError('not_subscribed', 'subscribe to the session first');
    }
    if (access.allows(subscriber, right, sessionId)) return undefined;
    return access.ensure(subscriber, sessionId, right).then(() => {
      if (!access.allows(subscriber, right, sessionId)) throw noRightTo(right);
    });
  }

  /** @returns undefined for a message that can only be a repeat */
  #leaseFor(subscriber: Subscriber, { session_id: sessionId, idempotency_key: key }: Send): Lease | undefined {
    if (key !== undefined && this.#node.leases.of(sessionId, subscriber) === undefined) return undefined;
    return confirmedLease(this.#node, subscriber, sessionId);
  }

  /**
   * A message under a key, of a connection that does not own the session. It may have been stored while that one, or
   * one before it, did, and only the answer was lost (M2).
   */
  async #repeat(subscriber: Subscriber, message: Send): Promise<number> {
    const { session_id: sessionId, idempotency_key: key } = message;
    const tail = payloadText(payloadOf(message));
    const bytes = this.#measure(sessionId, tail);
    const idempotency = idempotencyOf(key, tail, 'send', sessionId, subscriber.principal);
    // Nobody ever owns a session at epoch 0: the store knows the message, or refuses it.
    const owner = { connectionId: subscriber.id, epoch: 0 };
    const item: MessageItem = { tail, ephemeral: false, owner, ...(idempotency !== undefined && { idempotency }) };
    const { item: known } = await this.#writer.append(sessionId, item, bytes);
    if (!('offset' in known)) throw new HoldfastError(known.result, REFUSALS[known.result]);
    return known.offset;
  }

  #sendAs(lease: Lease, message: Send): Promise<Written> {
    const { deps } = this.#node;
    const { sessionId, subscriber } = lease;
    const { asks, sendsPerSecond } = deps.settingsOf(sessionId);
    const text = payloadText(message);
    const tail = this.#tailOf(lease, text);
    const bytes = this.#measure(sessionId, tail);
    const retryAfterMs = sendsPerSecond > 0 ? this.#quota.take(sessionId, sendsPerSecond, deps.clock.monotonicMs()) : 0;
    if (retryAfterMs > 0) throw new HoldfastError('rate_limited', 'the owner sends too much', { retryAfterMs });
    const idempotency = idempotencyOf(message.idempotency_key, text, 'send', sessionId, subscriber.principal);
    if (asks.message) return this.#sendAccepted(lease, message, text, idempotency);
    return this.#writer.append(sessionId, itemOf(lease, tail, idempotency), bytes);
  }

  /** As the application wants it. */
  async #sendAccepted(lease: Lease, message: Send, text: string, idempotency: Idempotency): Promise<Written> {
    const { sessionId, subscriber } = lease;
    const { idempotency_key: key } = message;
    // Of the payload too: whoever remembers an answer by it must not give that for a message that nobody has seen.
    const requestId =
      key === undefined ? crypto.randomUUID() : sha256('asked', sessionId, subscriber.principal, key, text);
    const tail = this.#tailOf(lease, payloadText(await this.#ask(lease, payloadOf(message), requestId)));
    return this.#writer.append(sessionId, itemOf(lease, tail, idempotency), this.#measure(sessionId, tail));
  }

  #tailOf({ sessionId, subscriber, epoch: ownerEpoch }: Lease, text: string): string {
    const { exposePrincipals } = this.#node.deps.settingsOf(sessionId);
    return messageTail({ ownerEpoch, principal: exposePrincipals ? subscriber.principal : undefined }, text);
  }

  /** What the application makes of an owner's message. One question of a connection at a time, so that order is kept. */
  async #ask(lease: Lease, payload: Payload, requestId: string): Promise<Payload> {
    const { sessionId, subscriber, epoch: ownerEpoch } = lease;
    const ask = async () => {
      this.#requireStill(lease);
      const message = { ...callerOf(subscriber, sessionId), ownerEpoch, payload, requestId };
      const accepted = await this.#node.deps.application.accept(message);
      this.#requireStill(lease);
      return accepted;
    };
    const turn = (this.#turns.get(subscriber) ?? Promise.resolve()).then(ask, ask);
    this.#turns.set(subscriber, turn);
    return turn;
  }

  /** The connection may have lost the session, or taken it anew, or lost its right to send, while it waited. */
  #requireStill(lease: Lease): void {
    const { subscriber, sessionId } = lease;
    if (confirmedLease(this.#node, subscriber, sessionId) !== lease) {
      throw new HoldfastError('not_owner', 'the session has changed owner');
    }
    if (!this.#node.access.allows(subscriber, 'send', sessionId)) throw noRightTo('send');
  }

  async #publish(message: NewMessage & { session_id: string }): Promise<PublishResult> {
    const { session_id: sessionId } = message;
    try {
      const item = publicationOf(sessionId, message, message);
      const written = await this.#writer.append(sessionId, item, this.#measure(sessionId, item.tail));
      const offset = this.#accepted(written, 'application');
      const published = { session_id: sessionId, offset, epoch: written.epoch };
      return written.item.result === 'duplicate' ? { ...published, duplicate: true } : published;
    } catch (error) {
      this.#countRefusal(error);
      return { session_id: sessionId, error: this.#problem(error) };
    }
  }

  /** @returns its offset @throws HoldfastError why it was refused */
  #accepted({ item }: Written, source: 'owner' | 'application'): number {
    const { telemetry } = this.#node.deps;
    if (!('offset' in item)) {
      if (item.result === 'not_owner') telemetry.fenced('store');
      throw new HoldfastError(item.result, REFUSALS[item.result]);
    }
    if (item.result === 'accepted') telemetry.published(source, 1);
    return item.offset;
  }

  /** @returns the tail's bytes, UTF-8 @throws HoldfastError `message_too_large` */
  #measure(sessionId: string, tail: string): number {
    const { maxMessageBytes } = this.#node.deps.settingsOf(sessionId);
    const bytes = Buffer.byteLength(tail);
    if (bytes <= maxMessageBytes) return bytes;
    throw new HoldfastError('message_too_large', `a message has at most ${maxMessageBytes} bytes, not ${bytes}`);
  }

  #countRefusal(error: unknown): void {
    this.#node.deps.telemetry.messageRefused(error instanceof HoldfastError ? error.code : 'internal');
  }

  #problem(error: unknown) {
    if (error instanceof HoldfastError) return { code: error.code, message: error.message, retryable: error.retryable };
    this.#node.deps.log.error({ error }, 'message not published');
    return { code: 'internal', message: 'internal error', retryable: true } as const;
  }
}

type Refusal = Exclude<ItemResult, { offset: number }>['result'];

const REFUSALS: Readonly<Record<Refusal, string>> = {
  not_owner: 'this connection does not own the session',
  stale_epoch: 'the session has changed owner',
  offset_conflict: 'the last offset is another one',
  idempotency_conflict: 'the idempotency key belongs to another message',
  history_full: 'the history has no room for the message',
};

function itemOf({ connectionId, epoch }: Lease, tail: string, idempotency: Idempotency): MessageItem {
  const item = { tail, ephemeral: false, owner: { connectionId, epoch } };
  return idempotency === undefined ? item : { ...item, idempotency };
}

function noRightTo(right: Right): HoldfastError {
  return new HoldfastError('forbidden', `no right to ${right} in this session`);
}

function payloadOf(message: Payload): Payload {
  return 'bytes' in message ? { bytes: message.bytes } : { data: message.data };
}
