import { HoldfastError } from '../protocol/errors.js';
import type { HistoryPage, NewMessage, PublishResult } from '../protocol/http.js';
import type { ClientMessage, Payload, SendRequest } from '../protocol/messages.js';
import { payloadText } from '../protocol/payload.js';
import { callerOf } from './access.js';
import { countRefusal, requireRight, requireSize } from './message-checks.js';
import { storedMessage } from './message-frame.js';
import type { HistoryRange } from './message-ports.js';
import { MessageWriter } from './message-writer.js';
import { OwnerChanges } from './owner-changes.js';
import { OwnerSends, type Waiting } from './owner-sends.js';
import type { SignalNotice } from './ports.js';
import { publish } from './publishing.js';
import type { SessionNode } from './session-node.js';
import type { Subscriber } from './subscriber.js';

type Signal = Extract<ClientMessage, { type: 'signal' }>;

/** What is said in sessions: by their owners, by watchers to the owner, and by the application. */
export class Conversation {
  readonly #node: SessionNode;
  readonly #writer: MessageWriter;
  readonly #ownerSends: OwnerSends;

  constructor(node: SessionNode) {
    this.#node = node;
    const { messages, clock, bootId, settingsOf } = node.deps;
    const retentionOf = (sessionId: string) => settingsOf(sessionId).retention;
    this.#writer = new MessageWriter({ messages, clock, writerId: bootId, retentionOf });
    this.#ownerSends = new OwnerSends(node, this.#writer);
  }

  /**
   * Stores and publishes a message of the owner, and acknowledges it. Calls of one turn keep their order.
   * @param waiting told `done` with HoldfastError `not_subscribed`, `forbidden`, `not_owner`, `ownership_unconfirmed`,
   * `message_too_large`, `rate_limited`, `message_rejected`, `application_unavailable`,
   * `idempotency_conflict`, `history_full`, `store_unavailable`, or with nothing
   */
  send(subscriber: Subscriber, message: SendRequest, waiting: Waiting): void {
    this.#ownerSends.send(subscriber, message, waiting);
  }

  /**
   * Passes a watcher's message to the owner and the application, and acknowledges it.
   * @throws HoldfastError `not_subscribed`, `forbidden`, `message_too_large`,
   * `application_unavailable`, `store_unavailable`
   */
  async signal(subscriber: Subscriber, message: Signal): Promise<void> {
    const { id, session_id: sessionId } = message;
    try {
      const asking = requireRight(this.#node, subscriber, 'signal', sessionId);
      if (asking !== undefined) await asking;
      const payload: Payload = 'bytes' in message ? { bytes: message.bytes } : { data: message.data };
      const { bus, application, telemetry, settingsOf } = this.#node.deps;
      requireSize(Buffer.byteLength(payloadText(payload).text), settingsOf(sessionId).maxMessageBytes);
      const { id: connectionId, principal } = subscriber;
      await Promise.all([
        bus.publish({ kind: 'signal', sessionId, connectionId, principal, payload }),
        application.signalled(callerOf(subscriber, sessionId), payload),
      ]);
      telemetry.signalled();
      const owner = this.#node.hub.get(sessionId)?.view?.state === 'owned';
      subscriber.send({ type: 'signal_ack', ...(id !== undefined && { id }), session_id: sessionId, owner });
    } catch (error) {
      countRefusal(this.#node, error);
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
    return publish(this.#node, this.#writer, messages);
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
}
