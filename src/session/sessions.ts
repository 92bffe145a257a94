import { logHandle } from '../crypto/hash.js';
import { HoldfastError } from '../protocol/errors.js';
import type { SessionReport } from '../protocol/http.js';
import type { ClaimAck, SubscribeAck, Subscription } from '../protocol/messages.js';
import { type Acquired, acquire } from './acquisition.js';
import { HandedOver } from './handover.js';
import { type Channel, isNewer } from './hub.js';
import { isMeant, OwnerChanges, type OwnerTarget } from './owner-changes.js';
import type { LeaseRef, SessionView, SubscriptionRemoval } from './ports.js';
import { Reconciliation } from './reconciliation.js';
import { type SessionDependencies, SessionNode } from './session-node.js';
import type { Subscriber } from './subscriber.js';
import { Sweeper } from './sweeper.js';

export interface SessionsOptions extends SessionDependencies {
  sweepEveryMs: number;
  reconcileEveryMs: number;
}

type AckBody = Omit<ClaimAck, 'type' | 'id'>;

/** The ownership domain of one node: what connections ask for, and what the application does to sessions. */
export class Sessions {
  readonly #node: SessionNode;
  readonly #changes: OwnerChanges;
  readonly #handedOver: HandedOver;
  readonly #reconciliation: Reconciliation;
  readonly #sweeper: Sweeper;

  constructor(options: SessionsOptions) {
    const node = new SessionNode(options);
    this.#node = node;
    this.#changes = new OwnerChanges(node);
    this.#handedOver = new HandedOver(node);
    this.#reconciliation = new Reconciliation(node, options.reconcileEveryMs);
    this.#sweeper = new Sweeper(options, options.sweepEveryMs);
    node.onNews = (event) => this.#handedOver.consider(event);
    options.bus.onEvent((event) => {
      if (event.kind === 'ownership') node.announce(event);
      else if (event.kind === 'transfer_offer') void this.#changes.accept(event);
      else if (event.kind === 'subscription_removal') this.#removeLocal(event);
    });
    options.bus.onGap(() => void this.#reconciliation.run());
  }

  subscriptionCount(subscriber: Subscriber): number {
    return this.#node.subscriptions.get(subscriber)?.size ?? 0;
  }

  /**
   * Subscribes, and takes the session where it may. Sends the `subscribe_ack` itself, so that nothing of the session
   * goes before it.
   * @throws HoldfastError `forbidden`, `already_subscribed`, `invalid_reconnect_token`, `reconnect_token_used`,
   * `session_busy`, `store_unavailable`
   */
  async subscribe(subscriber: Subscriber, subscription: Subscription, id: string | undefined): Promise<void> {
    const { session_id: sessionId, reconnect_token: presented } = subscription;
    const { rights } = subscriber;
    this.#checkSubscription(subscriber, subscription);
    const own = this.#subscriptionsOf(subscriber);
    if (own.has(sessionId))
      throw new HoldfastError('already_subscribed', 'this connection follows the session already');
    own.add(sessionId);
    let channel: Channel | undefined;
    try {
      channel = await this.#node.hub.join(sessionId);
      const acquired = await this.#acquireOrRead(subscriber, subscription);
      const { result } = acquired.outcome;
      if (result === 'token_used' || result === 'busy') throw refusal(acquired);
      const wantsOwnership = subscription.claim !== 'never' && subscriber.rights.allows('own', sessionId);
      const tokenStatus = presented === undefined ? undefined : acquired.outcome.tokenExpired ? 'expired' : 'accepted';
      this.#goLive(channel, subscriber, acquired, wantsOwnership, {
        ...(id !== undefined && { id }),
        ...(tokenStatus !== undefined && { token_status: tokenStatus }),
      });
      if (subscriber.rights !== rights) this.#recheck(subscriber, sessionId);
    } catch (error) {
      own.delete(sessionId);
      if (own.size === 0) this.#node.subscriptions.delete(subscriber);
      if (channel !== undefined) this.#node.hub.abandon(channel);
      throw error;
    }
  }

  /** @throws HoldfastError `not_subscribed`, `store_unavailable` */
  async unsubscribe(subscriber: Subscriber, sessionId: string): Promise<void> {
    this.#requireSubscription(subscriber, sessionId);
    if (this.#node.leases.of(sessionId, subscriber) !== undefined) {
      await this.#changes.release(subscriber, sessionId, 'unsubscribed');
    }
    this.#forget(subscriber, sessionId, 'unsubscribed');
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
    this.#requireSubscription(subscriber, sessionId);
    if (!rights.allows('own', sessionId)) throw new HoldfastError('forbidden', 'no right to own this session');
    if (force && !rights.allows('force', sessionId)) {
      throw new HoldfastError('forbidden', 'no right to take this session by force', { field: 'force' });
    }
    let acquired = await acquire(this.#node, { subscriber, sessionId, mode: 'claim', attemptId });
    if (force && acquired.outcome.result !== 'owned')
      acquired = await this.#changes.force(subscriber, sessionId, attemptId);
    if (acquired.outcome.result !== 'owned') throw refusal(acquired);
    const { outcome, token, stamp, requestId } = acquired;
    const reason = force ? 'forced' : 'claimed';
    const granted = { view: outcome.view, tokenHash: outcome.tokenHash, stamp, reason, requestId } as const;
    const owner = this.#node.grant(subscriber, sessionId, granted);
    this.#requireSubscription(subscriber, sessionId);
    subscriber.send({
      type: 'claim_ack',
      ...(id !== undefined && { id }),
      ...this.#ack(sessionId, outcome.view, token),
    });
    if (!owner) this.#tellOvertaken(subscriber, sessionId);
    if (subscriber.rights !== rights) this.#recheck(subscriber, sessionId);
  }

  /** @throws HoldfastError `not_subscribed`, `not_owner`, `ownership_unconfirmed`, `store_unavailable` */
  async release(subscriber: Subscriber, sessionId: string): Promise<void> {
    this.#requireSubscription(subscriber, sessionId);
    await this.#changes.release(subscriber, sessionId, 'released');
    this.#node.hub.moveToEnd(sessionId, subscriber);
  }

  /**
   * The subscriber's rights were read again: a subscription without `watch` ends, and a session that it owns without
   * `own` becomes free. It is told. What is on its way in is checked when it arrives.
   */
  recheckRights(subscriber: Subscriber): void {
    for (const sessionId of this.#node.subscriptions.get(subscriber) ?? []) {
      if (this.#node.hub.get(sessionId)?.subscribers.has(subscriber)) this.#recheck(subscriber, sessionId);
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
    const own = this.#node.subscriptions.get(subscriber) ?? [];
    this.#node.subscriptions.delete(subscriber);
    const { release, ...held } = how;
    if (release) this.#node.revoke(subscriber);
    for (const sessionId of own) {
      const lease = this.#node.leases.of(sessionId, subscriber);
      if (lease !== undefined) this.#node.depart(lease, release ? { release: 'revoked' } : held);
      this.#leave(subscriber, sessionId);
    }
    return this.#node.departures.settled();
  }

  /** @throws HoldfastError `not_found` for a session that was never owned, `store_unavailable` */
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

  /** Tells the telemetry how many sessions and leases there are here now. */
  report(): void {
    const counts = { free: 0, owned: 0, held: 0 };
    for (const { view } of this.#node.hub.channels.values()) counts[view?.state ?? 'free']++;
    this.#node.deps.telemetry.counts(counts, this.#node.leases.size);
  }

  start(): void {
    this.#sweeper.start();
    this.#reconciliation.start();
  }

  /** Stops the timers. Leases that still stand lapse unless their connections were closed before. */
  async close(): Promise<void> {
    this.#node.close();
    this.#handedOver.close();
    await Promise.all([this.#sweeper.stop(), this.#reconciliation.stop(), this.#node.departures.settled()]);
  }

  #removeLocal({ sessionId, target }: SubscriptionRemoval): void {
    const everyone = target.connection_id === undefined && target.principal === undefined;
    for (const subscriber of this.#node.hub.get(sessionId)?.subscribers.keys() ?? []) {
      if (!everyone && !isMeant(subscriber, target)) continue;
      this.#forget(subscriber, sessionId, 'removed');
      subscriber.send({ type: 'unsubscribed', session_id: sessionId, reason: 'removed' });
    }
  }

  #recheck(subscriber: Subscriber, sessionId: string): void {
    const { leases } = this.#node;
    if (!subscriber.rights.allows('watch', sessionId)) {
      this.#forget(subscriber, sessionId, 'revoked');
      subscriber.send({ type: 'unsubscribed', session_id: sessionId, reason: 'forbidden' });
      return;
    }
    if (subscriber.rights.allows('own', sessionId)) return;
    const lease = leases.of(sessionId, subscriber);
    if (lease === undefined) return this.#unwatch(subscriber, sessionId);
    this.#node.lose(lease, 'revoked', lease.epoch);
    this.#node.depart(lease, { release: 'revoked' });
  }

  #checkSubscription(subscriber: Subscriber, subscription: Subscription): void {
    const { session_id: sessionId, reconnect_token: token } = subscription;
    if (!subscriber.rights.allows('watch', sessionId))
      throw new HoldfastError('forbidden', 'no right to watch this session');
    if (token === undefined) return;
    if (!subscriber.rights.allows('own', sessionId)) {
      throw new HoldfastError('forbidden', 'no right to own this session', { field: 'reconnect_token' });
    }
    if (this.#node.deps.tokens.isGenuine(sessionId, subscriber.principal, token)) return;
    this.#node.deps.telemetry.reclaimed('invalid', 0);
    this.#node.deps.log.warn({ session: logHandle(sessionId), connection: subscriber.id }, 'invalid reconnect token');
    throw new HoldfastError('invalid_reconnect_token', 'not a reconnect token of this session and principal', {
      field: 'reconnect_token',
    });
  }

  async #acquireOrRead(subscriber: Subscriber, subscription: Subscription): Promise<Acquired> {
    const { session_id: sessionId, reconnect_token: presentedToken, attempt_id: attemptId } = subscription;
    const { handoverPolicy } = this.#node.deps.settingsOf(sessionId);
    const mayOwn = subscription.claim !== 'never' && subscriber.rights.allows('own', sessionId);
    const claims = mayOwn && handoverPolicy !== 'explicit_claim';
    const wish = { subscriber, sessionId, mode: 'subscribe', attemptId } as const;
    if (presentedToken !== undefined) return acquire(this.#node, { ...wish, presentedToken, claimIfExpired: claims });
    if (claims) {
      const acquired = await acquire(this.#node, wish);
      if (acquired.outcome.result !== 'busy') return acquired;
    }
    const waits = mayOwn && handoverPolicy === 'oldest_watcher';
    const stamp = this.#node.leases.stamp();
    const view = await this.#node.deps.store.read(sessionId, waits ? this.#node.refOf(subscriber) : undefined);
    const outcome = {
      result: 'unclaimed',
      replayed: false,
      tokenExpired: false,
      tokenHash: '',
      retryAfterMs: 0,
      view,
    } as const;
    return { outcome, token: '', stamp, requestId: '' };
  }

  #goLive(
    channel: Channel,
    subscriber: Subscriber,
    acquired: Acquired,
    wantsOwnership: boolean,
    extra: Pick<SubscribeAck, 'id' | 'token_status'>,
  ): void {
    const { sessionId } = channel;
    const { outcome, token, stamp, requestId } = acquired;
    const owned = outcome.result === 'owned';
    let owner = false;
    if (owned) {
      const reason = extra.token_status === 'accepted' || outcome.replayed ? 'reclaimed' : 'claimed';
      const restoresPrincipal = extra.token_status === 'accepted' && subscriber.anonymous;
      const { view, tokenHash } = outcome;
      const granted = { view, tokenHash, stamp, reason, requestId, restoresPrincipal } as const;
      owner = this.#node.grant(subscriber, sessionId, granted);
    }
    if (!subscriber.open) {
      this.#node.hub.abandon(channel);
      this.#unwatch(subscriber, sessionId);
      return;
    }
    if (isNewer(outcome.view, channel.view)) channel.view ??= outcome.view;
    // Entered first: should the acknowledgement overflow the send queue, what closes the connection finds it here.
    this.#node.hub.enter(channel, subscriber, wantsOwnership);
    subscriber.send({
      type: 'subscribe_ack',
      ...extra,
      ...this.#ack(sessionId, outcome.view, owned ? token : undefined),
    });
    if (owned ? !owner : isNewer(channel.view ?? outcome.view, outcome.view)) {
      this.#tellOvertaken(subscriber, sessionId, owned);
    }
    // Promised to an older watcher: if that one does not come, it is this one's turn.
    if (outcome.result === 'not_next') this.#handedOver.retryAfter(outcome.retryAfterMs, sessionId);
  }

  /** The acknowledgement told of a state that events, which came first, had already passed. */
  #tellOvertaken(subscriber: Subscriber, sessionId: string, wasOwner = true): void {
    const view = this.#node.hub.get(sessionId)?.view;
    if (view === undefined) return;
    if (wasOwner) {
      subscriber.send({ type: 'ownership_lost', session_id: sessionId, reason: 'resynced', owner_epoch: view.epoch });
    }
    subscriber.send(this.#node.hub.messageOf(sessionId, view, 'resynced'));
  }

  #ack(sessionId: string, view: SessionView, token: string | undefined): AckBody {
    return {
      session_id: sessionId,
      owner: token !== undefined,
      state: view.state,
      owner_epoch: view.epoch,
      rev: view.rev,
      grace_ms: this.#node.deps.settingsOf(sessionId).graceMs,
      ...(token !== undefined && { reconnect_token: token }),
      ...this.#node.hub.publicPart(sessionId, view),
    };
  }

  /** Ends the subscription; what the connection still owns, or was given meanwhile, becomes free for `release`. */
  #forget(subscriber: Subscriber, sessionId: string, release: 'unsubscribed' | 'removed' | 'revoked'): void {
    const lease = this.#node.leases.of(sessionId, subscriber);
    if (lease !== undefined) this.#node.depart(lease, { release });
    const own = this.#node.subscriptions.get(subscriber);
    own?.delete(sessionId);
    if (own?.size === 0) this.#node.subscriptions.delete(subscriber);
    this.#leave(subscriber, sessionId);
  }

  #leave(subscriber: Subscriber, sessionId: string): void {
    this.#node.hub.leave(sessionId, subscriber);
    this.#unwatch(subscriber, sessionId);
  }

  #unwatch(subscriber: Subscriber, sessionId: string): void {
    if (this.#node.deps.settingsOf(sessionId).handoverPolicy !== 'oldest_watcher') return;
    void this.#node.deps.store.unwatch(sessionId, subscriber.id).catch(() => {
      // A handover passes over a watcher that does not answer.
    });
  }

  #subscriptionsOf(subscriber: Subscriber): Set<string> {
    let own = this.#node.subscriptions.get(subscriber);
    if (own === undefined) this.#node.subscriptions.set(subscriber, (own = new Set()));
    return own;
  }

  #requireSubscription(subscriber: Subscriber, sessionId: string): void {
    if (this.#node.subscriptions.get(subscriber)?.has(sessionId)) return;
    throw new HoldfastError('not_subscribed', 'subscribe to the session first');
  }
}

function refusal({ outcome }: Acquired): HoldfastError {
  const { result, view, retryAfterMs } = outcome;
  if (result === 'token_used')
    return new HoldfastError('reconnect_token_used', 'the reconnect token was used by another connection');
  if (result === 'busy')
    return new HoldfastError('session_busy', 'the session is being handed over', { retryAfterMs: 500 });
  if (result === 'not_next') return new HoldfastError('session_held', 'an older watcher comes first', { retryAfterMs });
  if (view.state === 'owned') return new HoldfastError('session_owned', 'another connection owns the session');
  return new HoldfastError('session_held', 'the session is held for its owner', {
    retryAfterMs: Math.max(0, view.deadlineMs - view.nowMs),
  });
}
