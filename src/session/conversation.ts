import { sha256 } from '../crypto/hash.js';
import { HoldfastError } from '../protocol/errors.js';
import type { HistoryPage, NewMessage, Published, PublishResult } from '../protocol/http.js';
import type { ClientMessage, Payload } from '../protocol/messages.js';
import { callerOf } from './access.js';
import type { Lease } from './leases.js';
import { messageTail, payloadText, storedMessage } from './message-frame.js';
import type { HistoryRange, ItemResult, MessageItem } from './message-ports.js';
import { MessageWriter } from './message-writer.js';
import { confirmedLease, OwnerChanges } from './owner-changes.js';
import type { SignalNotice } from './ports.js';
import { idempotencyOf, publicationOf } from './publication.js';
import type { Right } from './rights.js';
import { SendQuota } from './send-quota.js';
import type { SessionNode } from './session-node.js';
import type { Subscriber } from './subscriber.js';

type Send = Extract<ClientMessage, { type: 'send' }>;
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
      await this.#require(subscriber, 'send', sessionId);
      const repeats =
        message.idempotency_key !== undefined && this.#node.leases.of(sessionId, subscriber) === undefined;
      const { offset, ownerEpoch } = repeats
        ? await this.#repeat(subscriber, message)
        : await this.#sendAs(confirmedLease(this.#node, subscriber, sessionId), message);
      const ack = { type: 'send_ack', session_id: sessionId, offset, owner_epoch: ownerEpoch } as const;
      subscriber.send({ ...ack, ...(id !== undefined && { id }) });
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
      await this.#require(subscriber, 'signal', sessionId);
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
    return Promise.all(
      messages.map((message) =>
        this.#publish(message).catch((error: unknown) => {
          this.#countRefusal(error);
          return { session_id: message.session_id, error: this.#problem(error) };
        }),
      ),
    );
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

  async #require(subscriber: Subscriber, right: Right, sessionId: string): Promise<void> {
    const { access } = this.#node;
    if (!this.#node.follows(subscriber, sessionId)) {
      throw new HoldfastError('not_subscribed', 'subscribe to the session first');
    }
    if (access.allows(subscriber, right, sessionId)) return;
    await access.ensure(subscriber, sessionId, right);
    if (access.allows(subscriber, right, sessionId)) return;
    throw noRightTo(right);
  }

  /**
   * A message under a key, of a connection that does not own the session. It may have been stored while that one, or
   * one before it, did, and only the answer was lost (M2).
   */
  async #repeat(subscriber: Subscriber, message: Send): Promise<{ offset: number; ownerEpoch: number }> {
    const { session_id: sessionId, idempotency_key: key } = message;
    const tail = payloadText(payloadOf(message));
    const bytes = this.#measure(sessionId, tail);
    const idempotency = idempotencyOf(key, tail, 'send', sessionId, subscriber.principal);
    // Nobody ever owns a session at epoch 0: the store knows the message, or refuses it.
    const owner = { connectionId: subscriber.id, epoch: 0 };
    const item: MessageItem = { tail, ephemeral: false, owner, ...(idempotency !== undefined && { idempotency }) };
    const { item: known } = await this.#writer.append(sessionId, item, bytes);
    if (!('offset' in known)) throw new HoldfastError(known.result, REFUSALS[known.result]);
    return { offset: known.offset, ownerEpoch: this.#node.hub.get(sessionId)?.view?.epoch ?? 0 };
  }

  async #sendAs(lease: Lease, message: Send): Promise<{ offset: number; ownerEpoch: number }> {
    const { deps } = this.#node;
    const { sessionId, subscriber, connectionId, epoch } = lease;
    const { exposePrincipals, asks, sendsPerSecond } = deps.settingsOf(sessionId);
    const sent = payloadOf(message);
    const sentText = payloadText(sent);
    const about = { ownerEpoch: epoch, principal: exposePrincipals ? subscriber.principal : undefined };
    let tail = messageTail(about, sentText);
    let bytes = this.#measure(sessionId, tail);
    const retryAfterMs = sendsPerSecond > 0 ? this.#quota.take(sessionId, sendsPerSecond, deps.clock.monotonicMs()) : 0;
    if (retryAfterMs > 0) throw new HoldfastError('rate_limited', 'the owner sends too much', { retryAfterMs });
    const idempotency = idempotencyOf(message.idempotency_key, sentText, 'send', sessionId, subscriber.principal);
    if (asks.message) {
      const { idempotency_key: key } = message;
      // Of the payload too: whoever remembers an answer by it must not give that for a message that nobody has seen.
      const requestId =
        key === undefined ? crypto.randomUUID() : sha256('asked', sessionId, subscriber.principal, key, sentText);
      tail = messageTail(about, payloadText(await this.#accepted(lease, sent, requestId)));
      bytes = this.#measure(sessionId, tail);
    }
    const owner = { connectionId, epoch };
    const item: MessageItem = { tail, ephemeral: false, owner, ...(idempotency !== undefined && { idempotency }) };
    const { offset } = await this.#write(sessionId, item, bytes, 'owner');
    return { offset, ownerEpoch: epoch };
  }

  /** What the application makes of an owner's message. One question of a connection at a time, so that order is kept. */
  async #accepted(lease: Lease, payload: Payload, requestId: string): Promise<Payload> {
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

  async #publish(message: NewMessage & { session_id: string }): Promise<Published> {
    const { session_id: sessionId } = message;
    const item = publicationOf(sessionId, message, payloadOf(message));
    const bytes = this.#measure(sessionId, item.tail);
    const { offset, epoch, duplicate } = await this.#write(sessionId, item, bytes, 'application');
    return { session_id: sessionId, offset, epoch, ...(duplicate && { duplicate }) };
  }

  async #write(sessionId: string, item: MessageItem, bytes: number, source: 'owner' | 'application') {
    const { telemetry } = this.#node.deps;
    const { item: written, epoch } = await this.#writer.append(sessionId, item, bytes);
    if (!('offset' in written)) {
      if (written.result === 'not_owner') telemetry.fenced('store');
      throw new HoldfastError(written.result, REFUSALS[written.result]);
    }
    if (written.result === 'accepted') telemetry.published(source, 1);
    return { offset: written.offset, epoch, duplicate: written.result === 'duplicate' };
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

function noRightTo(right: Right): HoldfastError {
  return new HoldfastError('forbidden', `no right to ${right} in this session`);
}

function payloadOf(message: Payload): Payload {
  return 'bytes' in message ? { bytes: message.bytes } : { data: message.data };
}
