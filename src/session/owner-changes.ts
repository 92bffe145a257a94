import { setTimeout as sleep } from 'node:timers/promises';
import { logHandle } from '../crypto/hash.js';
import { HoldfastError } from '../protocol/errors.js';
import type { SessionReport } from '../protocol/http.js';
import { namespaceOf } from '../protocol/session-id.js';
import { type Acquired, BUSY_WAIT_MS, untilAnswered } from './acquisition.js';
import type { Channel } from './hub.js';
import type { Lease } from './leases.js';
import type { StreamState } from './message-ports.js';
import type { ReleaseRequest, SessionView, TransferOffer, TransferRequest } from './ports.js';
import type { SessionNode } from './session-node.js';
import type { Subscriber } from './subscriber.js';

/** Whom the application gives a session: a connection that follows it, or any such connection of a principal. */
export interface OwnerTarget {
  connection_id?: string;
  principal?: string;
}

const OFFER_WAIT_MS = 2_000;
const OFFER_POLL_MS = 20;
const MAX_STALE_TRIES = 3;

/** Changes of owner that are more than a claim: releases, takings by force, and what the application decides. */
export class OwnerChanges {
  readonly #node: SessionNode;

  constructor(node: SessionNode) {
    this.#node = node;
  }

  async release(subscriber: Subscriber, sessionId: string, reason: 'released' | 'unsubscribed'): Promise<void> {
    const { leases, deps } = this.#node;
    const lease =
      reason === 'released'
        ? confirmedLease(this.#node, subscriber, sessionId)
        : leaseOf(this.#node, subscriber, sessionId);
    const request: ReleaseRequest = {
      sessionId,
      connectionId: lease.connectionId,
      epoch: lease.epoch,
      requestId: crypto.randomUUID(),
      reason,
      policy: deps.settingsOf(sessionId).handoverPolicy,
      staysWatching: reason === 'released',
    };
    // First here, then there: the release's own event must not tell the owner that it lost something.
    leases.remove(lease);
    const released = await deps.store.release(request).catch((error: unknown) => {
      // Who is still there may ask again; for who has left meanwhile nobody else would.
      if (subscriber.open && this.#node.follows(subscriber, sessionId)) leases.restore(lease);
      else this.#node.depart(lease, { release: reason });
      throw error;
    });
    if (released) return;
    deps.telemetry.fenced('store');
    if (reason === 'released') throw new HoldfastError('not_owner', 'another connection has taken the session');
  }

  /** Takes the session whoever owns it, under its lock. The caller has the right. */
  async force(subscriber: Subscriber, sessionId: string, attemptId: string | undefined): Promise<Acquired> {
    const { deps } = this.#node;
    const token = deps.tokens.next(sessionId, subscriber.principal, '', attemptId);
    const tokenHash = deps.tokens.hash(token);
    return deps.lock.withLock(sessionId, BUSY_WAIT_MS, async (lockValue) => {
      const { stream, ...found } = await deps.store.read(sessionId);
      let view: SessionView = found;
      for (let tries = 0; tries < MAX_STALE_TRIES; tries++) {
        const stamp = this.#node.leases.stamp();
        const requestId = crypto.randomUUID();
        const attemptHash = deps.tokens.hashAttempt(sessionId, attemptId);
        const target = this.#targetOf(subscriber, sessionId, tokenHash, attemptHash);
        const request = {
          sessionId,
          requestId,
          lockValue,
          expectedEpoch: view.epoch,
          reason: 'forced',
          target,
        } as const;
        const { result, view: now } = await deps.store.transfer(request);
        view = now;
        if (result === 'busy') break;
        if (result === 'done') {
          const outcome = {
            result: 'owned',
            replayed: false,
            tokenExpired: false,
            tokenHash,
            retryAfterMs: 0,
            view,
            stream,
          } as const;
          return { outcome, token, stamp, requestId };
        }
      }
      throw busy();
    });
  }

  /** @throws HoldfastError `not_found` for a session that was never owned and never had a message */
  async inspect(sessionId: string): Promise<SessionReport> {
    const view = await this.#node.deps.store.read(sessionId);
    if (view.epoch === 0 && view.stream.top === 0) throw new HoldfastError('not_found', 'there is no such session');
    return this.#report(sessionId, view, view.stream);
  }

  async remove(sessionId: string): Promise<SessionReport> {
    const { deps } = this.#node;
    return deps.lock.withLock(sessionId, BUSY_WAIT_MS, async (lockValue) => {
      const { stream, ...found } = await deps.store.read(sessionId);
      let view: SessionView = found;
      if (view.epoch === 0) throw new HoldfastError('not_found', 'nobody has owned this session');
      for (let tries = 0; tries < MAX_STALE_TRIES; tries++) {
        const request: TransferRequest = {
          sessionId,
          requestId: crypto.randomUUID(),
          lockValue,
          expectedEpoch: view.epoch,
          reason: 'removed',
          target: undefined,
        };
        const answer = await deps.store.transfer(request);
        if (answer.result === 'done') return this.#report(sessionId, answer.view, stream);
        view = answer.view;
      }
      throw busy();
    });
  }

  /** Offers the session, under its lock, to the nodes that serve its subscribers; the one with the target takes it. */
  async give(sessionId: string, target: OwnerTarget): Promise<SessionReport> {
    const { deps } = this.#node;
    return deps.lock.withLock(sessionId, BUSY_WAIT_MS, async (lockValue) => {
      const before = await deps.store.read(sessionId);
      if (before.state === 'owned' && isTarget(before, target)) return this.#report(sessionId, before, before.stream);
      const { epoch: expectedEpoch } = before;
      const requestId = crypto.randomUUID();
      await deps.bus.publish({
        kind: 'transfer_offer',
        sessionId,
        requestId,
        lockValue,
        expectedEpoch,
        target,
      });
      const giveUpAtMs = deps.clock.monotonicMs() + OFFER_WAIT_MS;
      while (deps.clock.monotonicMs() < giveUpAtMs) {
        await sleep(OFFER_POLL_MS);
        const view = await deps.store.read(sessionId);
        if (view.epoch === expectedEpoch) continue;
        if (view.state === 'owned' && isTarget(view, target)) return this.#report(sessionId, view, view.stream);
        throw busy();
      }
      throw new HoldfastError('connection_not_found', 'no such connection follows the session');
    });
  }

  /** Asks every node to unsubscribe the target's connections, or everyone, from the session. */
  async removeSubscriptions(sessionId: string, target: OwnerTarget): Promise<void> {
    await this.#node.deps.bus.publish({ kind: 'subscription_removal', sessionId, target });
  }

  /** An offer from the node that holds the lock: takes the session for a connection of this node, if it is here. */
  async accept(offer: TransferOffer): Promise<void> {
    const { deps, leases, hub } = this.#node;
    const { sessionId, requestId, lockValue, expectedEpoch } = offer;
    const subscriber = findTarget(hub.get(sessionId), offer);
    if (subscriber === undefined) return;
    const token = deps.tokens.next(sessionId, subscriber.principal, '', undefined);
    const tokenHash = deps.tokens.hash(token);
    const stamp = leases.stamp();
    const target = this.#targetOf(subscriber, sessionId, tokenHash, '');
    hub.promise(requestId, token);
    try {
      const request = { sessionId, requestId, lockValue, expectedEpoch, reason: 'transferred', target } as const;
      const { result, view } = await untilAnswered(this.#node, subscriber, target.leaseMs, () =>
        deps.store.transfer(request),
      );
      // Several nodes may answer an offer to a principal; the view tells whose commit it was.
      if (result !== 'done' || view.connectionId !== subscriber.id) return;
      this.#node.grant(subscriber, sessionId, { view, tokenHash, stamp, reason: 'transferred', requestId });
    } catch (error) {
      deps.log.warn({ session: logHandle(sessionId), connection: subscriber.id, error }, 'offered session not taken');
    } finally {
      hub.forgetPromise(requestId);
    }
  }

  async #report(sessionId: string, view: SessionView, stream: StreamState): Promise<SessionReport> {
    const { deps } = this.#node;
    const { state, epoch, rev, principal, connectionId, nodeId, deadlineMs } = view;
    const present = deps.settingsOf(sessionId).presence ? await deps.presence.read(sessionId) : undefined;
    return {
      session_id: sessionId,
      namespace: namespaceOf(sessionId),
      state,
      owner_epoch: epoch,
      rev,
      ...(state !== 'free' && { principal, connection_id: connectionId, node: nodeId, until: deadlineMs }),
      position: { epoch: stream.epoch, offset: stream.top },
      first_offset: stream.first,
      ...(present !== undefined && { presence: { count: present.count, members: present.members } }),
    };
  }

  #targetOf(subscriber: Subscriber, sessionId: string, tokenHash: string, attemptHash: string) {
    const { leaseMs } = this.#node.deps.settingsOf(sessionId);
    return { ...this.#node.refOf(subscriber), principal: subscriber.principal, tokenHash, attemptHash, leaseMs };
  }
}

function leaseOf(node: SessionNode, subscriber: Subscriber, sessionId: string): Lease {
  const lease = node.leases.of(sessionId, subscriber);
  if (lease === undefined) throw new HoldfastError('not_owner', 'this connection does not own the session');
  return lease;
}

/**
 * The lease by which the connection may act as the owner now.
 * @throws HoldfastError `not_owner`; `ownership_unconfirmed` when this node can no longer be sure of it (O8)
 */
export function confirmedLease(node: SessionNode, subscriber: Subscriber, sessionId: string): Lease {
  const lease = leaseOf(node, subscriber, sessionId);
  if (node.leases.isValid(lease)) return lease;
  node.deps.telemetry.fenced('lease');
  throw new HoldfastError('ownership_unconfirmed', 'the lease could not be renewed in time', { retryAfterMs: 500 });
}

function findTarget(channel: Channel | undefined, { target }: TransferOffer): Subscriber | undefined {
  for (const subscriber of channel?.subscribers.keys() ?? []) {
    if (subscriber.open && isMeant(subscriber, target)) return subscriber;
  }
  return undefined;
}

/** Whether the target names this connection, or its principal. */
export function isMeant(subscriber: Subscriber, target: OwnerTarget): boolean {
  return subscriber.id === target.connection_id || subscriber.principal === target.principal;
}

function isTarget(view: SessionView, target: OwnerTarget): boolean {
  return view.connectionId === target.connection_id || view.principal === target.principal;
}

function busy(): HoldfastError {
  return new HoldfastError('session_busy', 'the session changes owner too often to be changed now', {
    retryAfterMs: 500,
  });
}
