import { HoldfastError } from '../protocol/errors.js';
import type { HistoryPage, NewMessage, PublishResult, SessionReport } from '../protocol/http.js';
import type { ClientMessage, SendRequest, Subscription } from '../protocol/messages.js';
import { acknowledgementOf, refusalOf, tellOvertaken } from './acknowledgement.js';
import { acquire } from './acquisition.js';
import { Conversation } from './conversation.js';
import { HandedOver } from './handover.js';
import type { HistoryRange } from './message-ports.js';
import { OwnerChanges, type OwnerTarget } from './owner-changes.js';
import type { Waiting } from './owner-sends.js';
import type { LeaseRef, SessionEvent } from './ports.js';
import { PresenceHere } from './presence-here.js';
import { Reconciliation } from './reconciliation.js';
import { type SessionDependencies, SessionNode } from './session-node.js';
import type { Subscriber } from './subscriber.js';
import { Subscriptions } from './subscriptions.js';
import { Sweeper } from './sweeper.js';

export interface SessionsOptions extends SessionDependencies {
  sweepEveryMs: number;
  reconcileEveryMs: number;
  /** Whether any namespace has presence. */
  hasPresence: boolean;
}

/** The sessions of one node: what connections ask for, and what the application does to them. */
export class Sessions {
  readonly #node: SessionNode;
  readonly #subscriptions: Subscriptions;
  readonly #changes: OwnerChanges;
  readonly #conversation: Conversation;
  readonly #handedOver: HandedOver;
  readonly #presence: PresenceHere;
  readonly #reconciliation: Reconciliation;
  readonly #sweeper: Sweeper;

  constructor(options: SessionsOptions) {
    const node = new SessionNode(options);
    this.#node = node;
    this.#changes = new OwnerChanges(node);
    this.#conversation = new Conversation(node);
    this.#handedOver = new HandedOver(node);
    this.#presence = new PresenceHere(node);
    this.#subscriptions = new Subscriptions(node, this.#handedOver, this.#presence);
    this.#reconciliation = new Reconciliation(node, options.reconcileEveryMs);
    const presence = options.hasPresence ? options.presence : undefined;
    this.#sweeper = new Sweeper({ ...options, presence }, options.sweepEveryMs);
    node.onNews = (event) => this.#handedOver.consider(event);
    options.bus.onEvent((event) => this.#hear(event));
    options.bus.onGap(() => {
      void this.#reconciliation.run();
      this.#presence.afterGap();
    });
  }

  subscriptionCount(subscriber: Subscriber): number {
    return this.#subscriptions.count(subscriber);
  }

  /**
   * Subscribes, and takes the session where it may. Sends the `subscribe_ack` itself, so that nothing of the session
   * goes before it; what was missed `since` a position follows it.
   * @throws HoldfastError `forbidden`, `already_subscribed`, `invalid_reconnect_token`, `reconnect_token_used`,
   * `session_busy`, `application_unavailable`, `store_unavailable`
   */
  subscribe(subscriber: Subscriber, subscription: Subscription, id: string | undefined): Promise<void> {
    return this.#subscriptions.begin(subscriber, subscription, id);
  }

  /** @throws HoldfastError `not_subscribed`, `store_unavailable` */
  async unsubscribe(subscriber: Subscriber, sessionId: string): Promise<void> {
    this.#subscriptions.require(subscriber, sessionId);
    if (this.#node.leases.of(sessionId, subscriber) !== undefined) {
      await this.#changes.release(subscriber, sessionId, 'unsubscribed');
    }
    this.#subscriptions.end(subscriber, sessionId, 'unsubscribed');
  }

  /**
   * Takes a free session, or with `force` any. Sends the `claim_ack` itself.
   * @throws HoldfastError `not_subscribed`, `forbidden`, `session_owned`, `session_held`, `session_busy`,
   * `store_unavailable`
   */
  async claim(
    subscriber: Subscriber,
    request: { session_id: string; attempt_id?: string; force?: boolean },
    id: string | undefined,
  ): Promise<void> {
    const { session_id: sessionId, attempt_id: attemptId, force = false } = request;
    const { rights } = subscriber;
    this.#subscriptions.require(subscriber, sessionId);
    const { access } = this.#node;
    if (force) await access.ensure(subscriber, sessionId, 'force');
    if (!access.mightAllow(subscriber, 'own', sessionId)) {
      throw new HoldfastError('forbidden', 'no right to own this session');
    }
    if (force && !access.allows(subscriber, 'force', sessionId)) {
      throw new HoldfastError('forbidden', 'no right to take this session by force', { field: 'force' });
    }
    let acquired = await acquire(this.#node, { subscriber, sessionId, mode: 'claim', attemptId });
    if (force && acquired.outcome.result !== 'owned')
      acquired = await this.#changes.force(subscriber, sessionId, attemptId);
    if (acquired.outcome.result !== 'owned') throw refusalOf(acquired);
    const { outcome, token, stamp, requestId } = acquired;
    // As the store says: a repeated attempt takes the session back.
    const reason = outcome.replayed ? 'reclaimed' : force ? 'forced' : 'claimed';
    const granted = { view: outcome.view, tokenHash: outcome.tokenHash, stamp, reason, requestId } as const;
    const owner = this.#node.grant(subscriber, sessionId, granted);
    this.#subscriptions.require(subscriber, sessionId);
    this.#node.hub.flush(sessionId);
    subscriber.send({
      type: 'claim_ack',
      ...(id !== undefined && { id }),
      ...acknowledgementOf(this.#node, sessionId, outcome.view, token),
    });
    if (!owner) tellOvertaken(this.#node, subscriber, sessionId);
    if (subscriber.rights !== rights) this.#subscriptions.recheck(subscriber, sessionId);
  }

  /** @throws HoldfastError `not_subscribed`, `not_owner`, `ownership_unconfirmed`, `store_unavailable` */
  async release(subscriber: Subscriber, sessionId: string): Promise<void> {
    this.#subscriptions.require(subscriber, sessionId);
    await this.#changes.release(subscriber, sessionId, 'released');
    this.#node.hub.moveToEnd(sessionId, subscriber);
  }

  /**
   * The subscriber's rights were read again: a subscription without `watch` ends, and a session that it owns without
   * `own` becomes free. It is told. What is on its way in is checked when it arrives.
   */
  recheckRights(subscriber: Subscriber): void {
    for (const sessionId of this.#node.subscriptions.get(subscriber) ?? []) {
      this.#subscriptions.recheck(subscriber, sessionId);
    }
  }

  /** Frees those that the connection still owns, or is still held for, at that epoch. Resolves once the store knows. */
  releaseOwned(sessions: readonly LeaseRef[]): Promise<void> {
    for (const owned of sessions) {
      const policy = this.#node.deps.settingsOf(owned.sessionId).handoverPolicy;
      this.#node.departures.add(owned, { release: 'revoked', holdMs: 0, policy });
    }
    return this.#node.departures.settled();
  }

  /** The connection is gone: what it owned is held for `holdMs` (default: the grace period), or freed. */
  closed(subscriber: Subscriber, how: { release: boolean; holdMs?: number }): Promise<void> {
    this.#subscriptions.endAll(subscriber, how);
    return this.#node.departures.settled();
  }

  /** Sends the acknowledgement itself. @param waiting as of Conversation.send */
  send(subscriber: Subscriber, message: SendRequest, waiting: Waiting): void {
    this.#conversation.send(subscriber, message, waiting);
  }

  /** Sends the acknowledgement itself. @throws HoldfastError as Conversation.signal */
  signal(subscriber: Subscriber, message: Extract<ClientMessage, { type: 'signal' }>): Promise<void> {
    return this.#conversation.signal(subscriber, message);
  }

  /** Publishes for the application. Those of one session keep their order; what fails says so in its result. */
  publish(messages: readonly (NewMessage & { session_id: string })[]): Promise<PublishResult[]> {
    return this.#conversation.publish(messages);
  }

  /** @param limit 1 to 1,000 @throws HoldfastError `store_unavailable` */
  history(sessionId: string, range: HistoryRange, limit: number): Promise<HistoryPage> {
    return this.#conversation.history(sessionId, range, limit);
  }

  /** Removes the messages up to and including `through`. @throws HoldfastError `store_unavailable` */
  truncate(sessionId: string, through: number): Promise<void> {
    return this.#conversation.truncate(sessionId, through);
  }

  /** Frees the session, ends all subscriptions and removes its messages. @throws HoldfastError `session_busy`, `store_unavailable` */
  remove(sessionId: string): Promise<void> {
    return this.#conversation.remove(sessionId);
  }

  /** @throws HoldfastError `not_found` for a session that was never owned and never had a message, `store_unavailable` */
  inspect(sessionId: string): Promise<SessionReport> {
    return this.#changes.inspect(sessionId);
  }

  /** @throws HoldfastError `connection_not_found`, `session_busy`, `store_unavailable` */
  giveOwner(sessionId: string, target: OwnerTarget): Promise<SessionReport> {
    return this.#changes.give(sessionId, target);
  }

  /** @throws HoldfastError `not_found`, `session_busy`, `store_unavailable` */
  removeOwner(sessionId: string): Promise<SessionReport> {
    return this.#changes.remove(sessionId);
  }

  /**
   * Unsubscribes the target's connections from the session on every node, or everyone's; one that owns it releases it.
   * A node that cannot hear of it now is not waited for.
   * @throws HoldfastError `store_unavailable`
   */
  removeSubscriptions(sessionId: string, target: OwnerTarget): Promise<void> {
    return this.#changes.removeSubscriptions(sessionId, target);
  }

  /** Sessions with subscribers here, by state as this node knows it. */
  counts(): { free: number; owned: number; held: number } {
    const counts = { free: 0, owned: 0, held: 0 };
    for (const { view } of this.#node.hub.channels.values()) counts[view?.state ?? 'free']++;
    return counts;
  }

  /** Leases that this node renews. */
  get leases(): number {
    return this.#node.leases.size;
  }

  /** Tells the telemetry how many sessions and leases there are here now. */
  report(): void {
    this.#node.deps.telemetry.counts(this.counts(), this.leases);
  }

  start(): void {
    this.#sweeper.start();
    this.#presence.start();
    this.#reconciliation.start();
  }

  /** Stops the timers. Leases that still stand lapse unless their connections were closed before. */
  async close(): Promise<void> {
    this.#node.close();
    this.#handedOver.close();
    const { departures } = this.#node;
    await Promise.all([this.#sweeper.stop(), this.#presence.stop(), this.#reconciliation.stop(), departures.settled()]);
  }

  #hear(event: SessionEvent): void {
    switch (event.kind) {
      case 'messages':
        return this.#node.hub.receive(event);
      case 'ownership':
        return this.#node.announce(event);
      case 'presence':
        return this.#presence.deliver(event);
      case 'signal':
        this.#node.hub.flush(event.sessionId);
        return this.#conversation.deliverSignal(event);
      case 'transfer_offer':
        return void this.#changes.accept(event);
      case 'subscription_removal':
        return this.#subscriptions.remove(event);
    }
  }
}
