import { sha256 } from '../crypto/hash.js';
import { microtask } from '../lib/microtask.js';
import { HoldfastError } from '../protocol/errors.js';
import type { Payload, PayloadText, SendRequest } from '../protocol/messages.js';
import { parsedPayload, payloadText } from '../protocol/payload.js';
import { callerOf } from './access.js';
import type { Lease } from './leases.js';
import { countRefusal, noRightTo, refusalOf, requireRight, requireSize } from './message-checks.js';
import { messageTail, type Tail } from './message-frame.js';
import type { ItemResult, MessageItem } from './message-ports.js';
import type { Entry, MessageWriter } from './message-writer.js';
import { confirmedLease } from './owner-changes.js';
import { idempotencyOf } from './publication.js';
import type { SessionRights } from './rights.js';
import { SendQuota } from './send-quota.js';
import type { SessionNode, SessionSettings } from './session-node.js';
import type { Subscriber } from './subscriber.js';

/** Who waits for a message to be acknowledged. */
export interface Waiting {
  /** Called once, with the reason if it is not acknowledged. Must not throw. */
  done(error?: unknown): void;
}

/** A lease whose owner was found to have the right to send, and the time. */
interface Sender {
  lease: Lease;
  rights: SessionRights;
  settings: SessionSettings;
}

/** What owners say. There is no promise for each message: most wait for nothing but the store. */
export class OwnerSends {
  readonly #node: SessionNode;
  readonly #writer: MessageWriter;
  readonly #quota = new SendQuota();
  /** The last, until what was read at once is through. What comes too late by then is for the store to refuse. */
  #sender: Sender | undefined;
  /** The last question to the application about a message of each connection. */
  readonly #turns = new WeakMap<Subscriber, Promise<unknown>>();

  constructor(node: SessionNode, writer: MessageWriter) {
    this.#node = node;
    this.#writer = writer;
  }

  /** As `Conversation.send`. */
  send(subscriber: Subscriber, message: SendRequest, waiting: Waiting): void {
    let entry: SendEntry | Promise<SendEntry>;
    try {
      entry = this.#entry(subscriber, message, waiting);
    } catch (error) {
      this.#fail(error, waiting);
      return;
    }
    if (entry instanceof Promise) void this.#addLater(entry, message, waiting);
    else this.#writer.add(message.session_id, entry);
  }

  async #addLater(entry: Promise<SendEntry>, message: SendRequest, waiting: Waiting): Promise<void> {
    let ready: SendEntry;
    try {
      ready = await entry;
    } catch (error) {
      this.#fail(error, waiting);
      return;
    }
    this.#writer.add(message.session_id, ready);
  }

  #fail(error: unknown, waiting: Waiting): void {
    countRefusal(this.#node, error);
    waiting.done(error);
  }

  #entry(subscriber: Subscriber, message: SendRequest, waiting: Waiting): SendEntry | Promise<SendEntry> {
    const sender = this.#sender;
    if (sender !== undefined && this.#isStill(sender, subscriber, message.session_id)) {
      return this.#ownersEntry(sender, message, waiting);
    }
    const asking = requireRight(this.#node, subscriber, 'send', message.session_id);
    if (asking === undefined) return this.#allowedEntry(subscriber, message, waiting);
    return asking.then(() => this.#allowedEntry(subscriber, message, waiting));
  }

  /** A subscription does not end without its lease. */
  #isStill({ lease, rights }: Sender, subscriber: Subscriber, sessionId: string): boolean {
    return this.#node.leases.of(sessionId, subscriber) === lease && subscriber.rights === rights;
  }

  #allowedEntry(subscriber: Subscriber, message: SendRequest, waiting: Waiting): SendEntry | Promise<SendEntry> {
    const { session_id: sessionId, idempotency_key: key } = message;
    const settings = this.#node.deps.settingsOf(sessionId);
    if (key !== undefined && this.#node.leases.of(sessionId, subscriber) === undefined) {
      const item = repeatOf(subscriber, message, settings);
      return new SendEntry(item, undefined, this.#node, subscriber, message, waiting);
    }
    const lease = confirmedLease(this.#node, subscriber, sessionId);
    const sender = { lease, rights: subscriber.rights, settings };
    this.#sender = sender;
    microtask(() => {
      this.#sender = undefined;
    });
    return this.#ownersEntry(sender, message, waiting);
  }

  #ownersEntry({ lease, settings }: Sender, message: SendRequest, waiting: Waiting): SendEntry | Promise<SendEntry> {
    const { subscriber } = lease;
    const item = itemOf(lease, message, settings);
    if (settings.sendsPerSecond > 0) this.#takeQuota(message.session_id, settings.sendsPerSecond);
    if (!settings.asks.message) return new SendEntry(item, lease, this.#node, subscriber, message, waiting);
    return this.#accepted(lease, message, item).then(
      (accepted) => new SendEntry(accepted, lease, this.#node, subscriber, message, waiting),
    );
  }

  #takeQuota(sessionId: string, perSecond: number): void {
    const retryAfterMs = this.#quota.take(sessionId, perSecond, this.#node.deps.clock.monotonicMs());
    if (retryAfterMs > 0) throw new HoldfastError('rate_limited', 'the owner sends too much', { retryAfterMs });
  }

  /** As the application wants it. */
  async #accepted(lease: Lease, message: SendRequest, sent: MessageItem): Promise<MessageItem> {
    const { sessionId, subscriber } = lease;
    const { idempotency_key: key, payload } = message;
    // Of the payload too: whoever remembers an answer by it must not give that for a message that nobody has seen.
    const requestId =
      key === undefined ? crypto.randomUUID() : sha256('asked', sessionId, subscriber.principal, key, payload.text);
    const accepted = payloadText(await this.#ask(lease, parsedPayload(payload), requestId));
    const settings = this.#node.deps.settingsOf(sessionId);
    return { ...sent, ...tailOf(lease, accepted, settings) };
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
  /** Undefined for a message that can only be a repeat. */
  readonly #lease: Lease | undefined;
  readonly #node: SessionNode;
  readonly #subscriber: Subscriber;
  readonly #message: SendRequest;
  readonly #waiting: Waiting;

  constructor(
    item: MessageItem,
    lease: Lease | undefined,
    node: SessionNode,
    subscriber: Subscriber,
    message: SendRequest,
    waiting: Waiting,
  ) {
    this.item = item;
    this.#lease = lease;
    this.#node = node;
    this.#subscriber = subscriber;
    this.#message = message;
    this.#waiting = waiting;
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
    const type = 'send_ack';
    this.#subscriber.send(
      id === undefined
        ? { type, session_id: sessionId, offset, owner_epoch: ownerEpoch }
        : { type, session_id: sessionId, offset, owner_epoch: ownerEpoch, id },
    );
    this.#waiting.done();
  }

  failed(error: unknown): void {
    countRefusal(this.#node, error);
    this.#waiting.done(error);
  }
}

/**
 * A message under a key, of a connection that does not own the session. It may have been stored while that one, or
 * one before it, did, and only the answer was lost (M2).
 */
function repeatOf(subscriber: Subscriber, message: SendRequest, { maxMessageBytes }: SessionSettings): MessageItem {
  const { session_id: sessionId, idempotency_key: key, payload } = message;
  const tail = messageTail({}, payload);
  requireSize(tail.bytes, maxMessageBytes);
  // Nobody ever owns a session at epoch 0: the store knows the message, or refuses it.
  const owner = { connectionId: subscriber.id, epoch: 0 };
  const idempotency = idempotencyOf(key, payload, 'send', sessionId, subscriber.principal);
  return sentItem(tail, owner, idempotency);
}

function itemOf(lease: Lease, { idempotency_key: key, payload }: SendRequest, settings: SessionSettings): MessageItem {
  const { sessionId, subscriber, connectionId, epoch } = lease;
  const tail = tailOf(lease, payload, settings);
  const idempotency = idempotencyOf(key, payload, 'send', sessionId, subscriber.principal);
  return sentItem(tail, { connectionId, epoch }, idempotency);
}

function sentItem(
  { tail, bytes }: Tail,
  owner: MessageItem['owner'],
  idempotency: MessageItem['idempotency'],
): MessageItem {
  return {
    tail,
    bytes,
    ephemeral: false,
    owner,
    expectedOwnerEpoch: undefined,
    expectedOffset: undefined,
    idempotency,
  };
}

/** @throws HoldfastError `message_too_large` */
function tailOf({ subscriber, epoch }: Lease, payload: PayloadText, settings: SessionSettings): Tail {
  const { exposePrincipals, maxMessageBytes } = settings;
  const principal = exposePrincipals ? subscriber.principal : undefined;
  const tail = messageTail({ ownerEpoch: epoch, principal }, payload);
  requireSize(tail.bytes, maxMessageBytes);
  return tail;
}
