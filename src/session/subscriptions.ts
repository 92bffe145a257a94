import { logHandle } from '../crypto/hash.js';
import { HoldfastError } from '../protocol/errors.js';
import type { SubscribeAck, Subscription } from '../protocol/messages.js';
import { acknowledgementOf, refusalOf, tellOvertaken } from './acknowledgement.js';
import { type Acquired, acquire, unclaimed } from './acquisition.js';
import type { HandedOver } from './handover.js';
import { type Channel, isNewer } from './hub.js';
import { isMeant } from './owner-changes.js';
import type { SubscriptionRemoval } from './ports.js';
import type { PresenceHere } from './presence-here.js';
import type { SessionNode } from './session-node.js';
import type { Subscriber } from './subscriber.js';

/** How subscriptions of this node's connections begin and end. */
export class Subscriptions {
  readonly #node: SessionNode;
  readonly #handedOver: HandedOver;
  readonly #presence: PresenceHere;

  constructor(node: SessionNode, handedOver: HandedOver, presence: PresenceHere) {
    this.#node = node;
    this.#handedOver = handedOver;
    this.#presence = presence;
    node.access.onLost = (subscriber, sessionId) => this.recheck(subscriber, sessionId);
  }

  count(subscriber: Subscriber): number {
    return this.#node.subscriptions.get(subscriber)?.size ?? 0;
  }

  /** As `Sessions.subscribe`. */
  async begin(subscriber: Subscriber, subscription: Subscription, id: string | undefined): Promise<void> {
    const { access, hub } = this.#node;
    const { session_id: sessionId } = subscription;
    const { rights } = subscriber;
    const own = this.#subscriptionsOf(subscriber);
    if (own.has(sessionId))
      throw new HoldfastError('already_subscribed', 'this connection follows the session already');
    own.add(sessionId);
    let channel: Channel | undefined;
    try {
      // About who may become the owner `acquire` asks, under the session's lock.
      if (!this.#mayAcquire(subscriber, subscription)) await access.ensure(subscriber, sessionId);
      this.#check(subscriber, subscription);
      channel = await hub.join(sessionId);
      const acquired = await this.#acquireOrRead(subscriber, subscription);
      const { result } = acquired.outcome;
      if (result === 'token_used' || result === 'busy') throw refusalOf(acquired);
      this.#goLive(channel, subscriber, acquired, subscription, id);
      if (subscriber.rights !== rights || !access.allows(subscriber, 'watch', sessionId)) {
        this.recheck(subscriber, sessionId);
      }
    } catch (error) {
      own.delete(sessionId);
      if (own.size === 0) this.#node.subscriptions.delete(subscriber);
      if (channel !== undefined) hub.abandon(channel);
      throw error;
    }
  }

  /** Ends the subscription; what the connection still owns, or was given meanwhile, becomes free for `release`. */
  end(subscriber: Subscriber, sessionId: string, release: 'unsubscribed' | 'removed' | 'revoked'): void {
    const lease = this.#node.leases.of(sessionId, subscriber);
    if (lease !== undefined) this.#node.depart(lease, { release });
    const own = this.#node.subscriptions.get(subscriber);
    own?.delete(sessionId);
    if (own?.size === 0) this.#node.subscriptions.delete(subscriber);
    this.#leave(subscriber, sessionId, 0);
  }

  /** The connection is gone: what it owned is held for `holdMs` (default: the grace period), or freed. */
  endAll(subscriber: Subscriber, { release, ...held }: { release: boolean; holdMs?: number }): void {
    const own = this.#node.subscriptions.get(subscriber) ?? [];
    this.#node.subscriptions.delete(subscriber);
    this.#node.access.forget(subscriber);
    if (release) this.#node.revoke(subscriber);
    for (const sessionId of own) {
      const lease = this.#node.leases.of(sessionId, subscriber);
      if (lease !== undefined) this.#node.depart(lease, release ? { release: 'revoked' } : held);
      const holdMs = held.holdMs ?? this.#node.deps.settingsOf(sessionId).graceMs;
      this.#leave(subscriber, sessionId, release ? 0 : holdMs);
    }
  }

  /** The application's wish, from any node. */
  remove({ sessionId, target }: SubscriptionRemoval): void {
    const everyone = target.connection_id === undefined && target.principal === undefined;
    for (const subscriber of this.#node.hub.get(sessionId)?.subscribers.keys() ?? []) {
      if (!everyone && !isMeant(subscriber, target)) continue;
      this.end(subscriber, sessionId, 'removed');
      subscriber.send({ type: 'unsubscribed', session_id: sessionId, reason: 'removed' });
    }
  }

  /** Ends what the connection's rights no longer allow. What is on its way in is checked when it arrives. */
  recheck(subscriber: Subscriber, sessionId: string): void {
    const { access, hub, leases } = this.#node;
    if (!hub.get(sessionId)?.subscribers.has(subscriber)) return;
    if (!access.allows(subscriber, 'watch', sessionId)) {
      this.end(subscriber, sessionId, 'revoked');
      subscriber.send({ type: 'unsubscribed', session_id: sessionId, reason: 'forbidden' });
      return;
    }
    if (access.allows(subscriber, 'own', sessionId)) return;
    const lease = leases.of(sessionId, subscriber);
    if (lease === undefined) return this.#unwatch(subscriber, sessionId);
    this.#node.lose(lease, 'revoked', lease.epoch);
    this.#node.depart(lease, { release: 'revoked' });
  }

  /** @throws HoldfastError `not_subscribed` */
  require(subscriber: Subscriber, sessionId: string): void {
    if (this.#node.follows(subscriber, sessionId)) return;
    throw new HoldfastError('not_subscribed', 'subscribe to the session first');
  }

  #check(subscriber: Subscriber, subscription: Subscription): void {
    const { access, deps } = this.#node;
    const { session_id: sessionId, reconnect_token: token } = subscription;
    if (!access.mightAllow(subscriber, 'watch', sessionId))
      throw new HoldfastError('forbidden', 'no right to watch this session');
    if (token === undefined) return;
    if (!access.mightAllow(subscriber, 'own', sessionId)) {
      throw new HoldfastError('forbidden', 'no right to own this session', { field: 'reconnect_token' });
    }
    if (deps.tokens.isGenuine(sessionId, subscriber.principal, token)) return;
    deps.telemetry.reclaimed('invalid', 0);
    deps.log.warn({ session: logHandle(sessionId), connection: subscriber.id }, 'invalid reconnect token');
    throw new HoldfastError('invalid_reconnect_token', 'not a reconnect token of this session and principal', {
      field: 'reconnect_token',
    });
  }

  async #acquireOrRead(subscriber: Subscriber, subscription: Subscription): Promise<Acquired> {
    const { session_id: sessionId, reconnect_token: presentedToken, attempt_id: attemptId } = subscription;
    const { handoverPolicy } = this.#node.deps.settingsOf(sessionId);
    const mayOwn = this.#wantsOwnership(subscriber, subscription);
    const claims = this.#claims(subscriber, subscription);
    const wish = { subscriber, sessionId, mode: 'subscribe', attemptId } as const;
    if (presentedToken !== undefined) return acquire(this.#node, { ...wish, presentedToken, claimIfExpired: claims });
    if (claims) {
      const acquired = await acquire(this.#node, wish);
      if (acquired.outcome.result !== 'busy') return acquired;
    }
    const waits = mayOwn && handoverPolicy === 'oldest_watcher';
    return unclaimed(this.#node, sessionId, waits ? this.#node.refOf(subscriber) : undefined);
  }

  #mayAcquire(subscriber: Subscriber, subscription: Subscription): boolean {
    return subscription.reconnect_token !== undefined || this.#claims(subscriber, subscription);
  }

  /** Whether it becomes the owner of a free session without saying so. */
  #claims(subscriber: Subscriber, subscription: Subscription): boolean {
    const { handoverPolicy } = this.#node.deps.settingsOf(subscription.session_id);
    return this.#wantsOwnership(subscriber, subscription) && handoverPolicy !== 'explicit_claim';
  }

  #wantsOwnership(subscriber: Subscriber, { session_id: sessionId, claim }: Subscription): boolean {
    return claim !== 'never' && this.#node.access.mightAllow(subscriber, 'own', sessionId);
  }

  #goLive(
    channel: Channel,
    subscriber: Subscriber,
    { outcome, token, stamp, requestId }: Acquired,
    subscription: Subscription,
    id: string | undefined,
  ): void {
    const { sessionId } = channel;
    const { hub } = this.#node;
    const { view, tokenHash, stream } = outcome;
    const presented = subscription.reconnect_token !== undefined;
    const reclaimed = presented && !outcome.tokenExpired;
    const owned = outcome.result === 'owned';
    let owner = false;
    if (owned) {
      const reason = reclaimed || outcome.replayed ? 'reclaimed' : 'claimed';
      const restoresPrincipal = reclaimed && subscriber.anonymous;
      const granted = { view, tokenHash, stamp, reason, requestId, restoresPrincipal } as const;
      owner = this.#node.grant(subscriber, sessionId, granted);
    }
    if (!subscriber.open) {
      hub.abandon(channel);
      this.#unwatch(subscriber, sessionId);
      return;
    }
    channel.view ??= view;
    const wantsOwnership = this.#wantsOwnership(subscriber, subscription);
    // Entered first: should the acknowledgement overflow the send queue, what closes the connection finds it here.
    const begins = hub.enter(channel, subscriber, { wantsOwnership, stream, since: subscription.since });
    const ack: SubscribeAck = {
      type: 'subscribe_ack',
      ...(id !== undefined && { id }),
      ...(presented && { token_status: reclaimed ? 'accepted' : 'expired' }),
      ...acknowledgementOf(this.#node, sessionId, view, owned ? token : undefined),
      ...begins,
    };
    subscriber.send(ack);
    if (owned ? !owner : isNewer(channel.view, view)) tellOvertaken(this.#node, subscriber, sessionId, owned);
    this.#presence.entered(subscriber, sessionId);
    // Promised to an older watcher: if that one does not come, it is this one's turn.
    if (outcome.result === 'not_next') this.#handedOver.retryAfter(outcome.retryAfterMs, sessionId);
  }

  #leave(subscriber: Subscriber, sessionId: string, graceMs: number): void {
    this.#node.hub.leave(sessionId, subscriber);
    this.#presence.left(subscriber, sessionId, graceMs);
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
}
