import { sha256 } from '../crypto/hash.js';
import { HoldfastError } from '../protocol/errors.js';
import type { ClientMessage, Payload } from '../protocol/messages.js';
import { callerOf } from './access.js';
import type { Lease } from './leases.js';
import { countRefusal, measured, noRightTo, refusalOf, requireRight } from './message-checks.js';
import { messageTail, payloadText } from './message-frame.js';
import type { ItemResult, MessageItem } from './message-ports.js';
import type { Entry, MessageWriter } from './message-writer.js';
import { confirmedLease } from './owner-changes.js';
import { idempotencyOf } from './publication.js';
import { SendQuota } from './send-quota.js';
import type { SessionNode, SessionSettings } from './session-node.js';
import type { Subscriber } from './subscriber.js';

type Send = Extract<ClientMessage, { type: 'send' }>;

/** Called once: when a message is acknowledged, or with the reason why it is not. Must not throw. */
export type Done = (error?: unknown) => void;

/** A message that is ready for the store. */
interface Outgoing extends Pick<Entry, 'item' | 'bytes'> {
  /** Undefined for a message that can only be a repeat. */
  lease: Lease | undefined;
}

/** What owners say. There is no promise for each message: most wait for nothing but the store. */
export class OwnerSends {
  readonly #node: SessionNode;
  readonly #writer: MessageWriter;
  readonly #quota = new SendQuota();
  /** The last question to the application about a message of each connection. */
  readonly #turns = new WeakMap<Subscriber, Promise<unknown>>();

  constructor(node: SessionNode, writer: MessageWriter) {
    this.#node = node;
    this.#writer = writer;
  }

  /** As `Conversation.send`. */
  send(subscriber: Subscriber, message: Send, done: Done): void {
    let outgoing: Outgoing | Promise<Outgoing>;
    try {
      outgoing = this.#outgoing(subscriber, message);
    } catch (error) {
      this.#fail(error, done);
      return;
    }
    if (outgoing instanceof Promise) void this.#appendLater(outgoing, subscriber, message, done);
    else this.#append(outgoing, subscriber, message, done);
  }

  #append(outgoing: Outgoing, subscriber: Subscriber, message: Send, done: Done): void {
    this.#writer.add(message.session_id, new SendEntry(outgoing, this.#node, subscriber, message, done));
  }

  async #appendLater(outgoing: Promise<Outgoing>, subscriber: Subscriber, message: Send, done: Done): Promise<void> {
    let ready: Outgoing;
    try {
      ready = await outgoing;
    } catch (error) {
      this.#fail(error, done);
      return;
    }
    this.#append(ready, subscriber, message, done);
  }

  #fail(error: unknown, done: Done): void {
    countRefusal(this.#node, error);
    done(error);
  }

  #outgoing(subscriber: Subscriber, message: Send): Outgoing | Promise<Outgoing> {
    const asking = requireRight(this.#node, subscriber, 'send', message.session_id);
    return asking === undefined ? this.#prepare(subscriber, message) : this.#prepareAfter(asking, subscriber, message);
  }

  async #prepareAfter(asking: Promise<void>, subscriber: Subscriber, message: Send): Promise<Outgoing> {
    await asking;
    return this.#prepare(subscriber, message);
  }

  #prepare(subscriber: Subscriber, message: Send): Outgoing | Promise<Outgoing> {
    const { session_id: sessionId, idempotency_key: key } = message;
    const settings = this.#node.deps.settingsOf(sessionId);
    if (key !== undefined && this.#node.leases.of(sessionId, subscriber) === undefined) {
      return repeat(subscriber, message, settings);
    }
    const lease = confirmedLease(this.#node, subscriber, sessionId);
    const text = payloadText(message);
    const outgoing = outgoingOf(lease, text, key, settings);
    if (settings.sendsPerSecond > 0) this.#takeQuota(sessionId, settings.sendsPerSecond);
    return settings.asks.message ? this.#accepted(lease, message, text, outgoing.item) : outgoing;
  }

  #takeQuota(sessionId: string, perSecond: number): void {
    const retryAfterMs = this.#quota.take(sessionId, perSecond, this.#node.deps.clock.monotonicMs());
    if (retryAfterMs > 0) throw new HoldfastError('rate_limited', 'the owner sends too much', { retryAfterMs });
  }

  /** As the application wants it. */
  async #accepted(lease: Lease, message: Send, text: string, sent: MessageItem): Promise<Outgoing> {
    const { sessionId, subscriber } = lease;
    const { idempotency_key: key } = message;
    // Of the payload too: whoever remembers an answer by it must not give that for a message that nobody has seen.
    const requestId =
      key === undefined ? crypto.randomUUID() : sha256('asked', sessionId, subscriber.principal, key, text);
    const payload = payloadText(await this.#ask(lease, payloadOf(message), requestId));
    const settings = this.#node.deps.settingsOf(sessionId);
    const tail = tailOf(lease, payload, settings);
    return { item: { ...sent, tail }, bytes: measured(tail, settings.maxMessageBytes), lease };
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
}

class SendEntry implements Entry {
  readonly item: MessageItem;
  readonly bytes: number;
  readonly #lease: Lease | undefined;
  readonly #node: SessionNode;
  readonly #subscriber: Subscriber;
  readonly #message: Send;
  readonly #done: Done;

  constructor({ item, bytes, lease }: Outgoing, node: SessionNode, subscriber: Subscriber, message: Send, done: Done) {
    this.item = item;
    this.bytes = bytes;
    this.#lease = lease;
    this.#node = node;
    this.#subscriber = subscriber;
    this.#message = message;
    this.#done = done;
  }

  written(result: ItemResult): void {
    const { hub, deps } = this.#node;
    if (!('offset' in result)) {
      if (this.#lease !== undefined && result.result === 'not_owner') deps.telemetry.fenced('store');
      this.failed(refusalOf(result.result));
      return;
    }
    if (result.result === 'accepted') deps.telemetry.published('owner', 1);
    const { id, session_id: sessionId } = this.#message;
    const { offset } = result;
    const ownerEpoch = this.#lease?.epoch ?? hub.get(sessionId)?.view?.epoch ?? 0;
    const ack = { type: 'send_ack', session_id: sessionId, offset, owner_epoch: ownerEpoch } as const;
    this.#subscriber.send(id === undefined ? ack : { ...ack, id });
    this.#done();
  }

  failed(error: unknown): void {
    countRefusal(this.#node, error);
    this.#done(error);
  }
}

/**
 * A message under a key, of a connection that does not own the session. It may have been stored while that one, or
 * one before it, did, and only the answer was lost (M2).
 */
function repeat(subscriber: Subscriber, message: Send, { maxMessageBytes }: SessionSettings): Outgoing {
  const { session_id: sessionId, idempotency_key: key } = message;
  const tail = payloadText(message);
  // Nobody ever owns a session at epoch 0: the store knows the message, or refuses it.
  const owner = { connectionId: subscriber.id, epoch: 0 };
  const idempotency = idempotencyOf(key, tail, 'send', sessionId, subscriber.principal);
  const item = { tail, ephemeral: false, owner, ...(idempotency !== undefined && { idempotency }) };
  return { item, bytes: measured(tail, maxMessageBytes), lease: undefined };
}

function outgoingOf(lease: Lease, payload: string, key: string | undefined, settings: SessionSettings): Outgoing {
  const { sessionId, subscriber, connectionId, epoch } = lease;
  const tail = tailOf(lease, payload, settings);
  const item: MessageItem = { tail, ephemeral: false, owner: { connectionId, epoch } };
  const bytes = measured(tail, settings.maxMessageBytes);
  const idempotency = idempotencyOf(key, payload, 'send', sessionId, subscriber.principal);
  if (idempotency !== undefined) item.idempotency = idempotency;
  return { item, bytes, lease };
}

function tailOf({ subscriber, epoch }: Lease, payload: string, { exposePrincipals }: SessionSettings): string {
  return messageTail({ ownerEpoch: epoch, principal: exposePrincipals ? subscriber.principal : undefined }, payload);
}

function payloadOf(message: Payload): Payload {
  return 'bytes' in message ? { bytes: message.bytes } : { data: message.data };
}
