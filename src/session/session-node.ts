import { logHandle } from '../crypto/hash.js';
import type { Clock } from '../lib/clock.js';
import type { Log } from '../lib/log.js';
import type { OwnershipLostReason, OwnershipReason } from '../protocol/messages.js';
import { Access } from './access.js';
import type { Application } from './application.js';
import { Departures } from './departures.js';
import type { FrameEncoder } from './frame-encoder.js';
import { Hub, isNewer } from './hub.js';
import { type Lease, type LeaseListener, NodeLeases, type Stamp } from './leases.js';
import type { MessageStore, Retention } from './message-ports.js';
import type {
  ConnectionRef,
  HandoverPolicy,
  LeaseRef,
  OwnershipEvent,
  OwnershipStore,
  PrincipalRule,
  ReleaseRequest,
  SessionBus,
  SessionLock,
  SessionView,
} from './ports.js';
import type { PresenceStore } from './presence-ports.js';
import type { ReconnectTokens } from './reconnect-token.js';
import type { Subscriber } from './subscriber.js';
import type { SessionTelemetry } from './telemetry.js';

export interface SessionSettings {
  graceMs: number;
  leaseMs: number;
  handoverPolicy: HandoverPolicy;
  /** Whether subscribers see who owns, who sends and who is there. */
  exposePrincipals: boolean;
  retention: Retention;
  /** Of one message as it is kept, UTF-8. */
  maxMessageBytes: number;
  /** Messages of the owner; 0: as many as its connection may send. */
  sendsPerSecond: number;
  /** Whether subscribers are told who is there. */
  presence: boolean;
  /** Whether the application is asked for rights that no rule gives, and about what owners send. */
  asks: { authorize: boolean; message: boolean };
}

export interface SessionDependencies {
  store: OwnershipStore;
  messages: MessageStore;
  presence: PresenceStore;
  application: Application;
  frames: FrameEncoder;
  /** Unsent bytes beyond which a connection gets no more messages until it has caught up. */
  lagBytes: number;
  bus: SessionBus;
  lock: SessionLock;
  tokens: ReconnectTokens;
  clock: Clock;
  log: Log;
  telemetry: SessionTelemetry;
  nodeId: string;
  bootId: string;
  settingsOf: (sessionId: string) => SessionSettings;
  /** The shortest lease of any namespace. */
  shortestLeaseMs: number;
  /** A connection has become the owner. Must not throw. */
  onGranted?: (subscriber: Subscriber, owned: LeaseRef) => void;
}

/**
 * A lease is longer than the grace period by more than one renewal, so that the client of a node that died without a
 * word still has the whole grace period.
 */
export function leaseMsOf(graceMs: number): number {
  return Math.ceil((graceMs * 4) / 3);
}

/** What was granted, from the store's answer. */
export interface Granted {
  view: SessionView;
  tokenHash: string;
  stamp: Stamp;
  reason: OwnershipReason;
  requestId: string;
  /** An anonymous connection presented a token: it takes the principal that the record has. */
  restoresPrincipal?: boolean;
}

const LOST_REASONS: Partial<Record<OwnershipReason, OwnershipLostReason>> = {
  reclaimed: 'reclaimed',
  forced: 'forced',
  transferred: 'transferred',
  removed: 'removed',
  revoked: 'revoked',
  lost: 'lost',
  resynced: 'resynced',
};

/** A change that this node learned by an answer of the store, and not by its event. */
function eventOf(sessionId: string, view: SessionView, reason: OwnershipReason, requestId = ''): OwnershipEvent {
  return { kind: 'ownership', sessionId, reason, previousConnectionId: '', requestId, ...view };
}

/** What this node knows of sessions: who of its connections follows and owns which, and what they were told. */
export class SessionNode implements LeaseListener {
  readonly hub: Hub;
  readonly leases: NodeLeases;
  readonly departures: Departures;
  readonly access: Access;
  readonly subscriptions = new Map<Subscriber, Set<string>>();
  /** Called for each event that is news to this node. */
  onNews: (event: OwnershipEvent) => void = () => {};
  readonly #reestablishing = new Set<Lease>();
  readonly #restored = new WeakSet<Subscriber>();
  /** Connections that were closed because their login is over. */
  readonly #revoked = new WeakSet<Subscriber>();

  readonly deps: SessionDependencies;

  constructor(deps: SessionDependencies) {
    this.deps = deps;
    this.hub = new Hub({ ...deps, showsPrincipal: (sessionId) => deps.settingsOf(sessionId).exposePrincipals });
    this.leases = new NodeLeases({ ...deps, listener: this });
    this.departures = new Departures(deps);
    this.access = new Access(this);
  }

  refOf(subscriber: Subscriber): ConnectionRef {
    return { connectionId: subscriber.id, nodeId: this.deps.nodeId, bootId: this.deps.bootId };
  }

  principalRuleOf(subscriber: Subscriber): PrincipalRule {
    if (!subscriber.anonymous) return 'exact';
    return this.#restored.has(subscriber) ? 'replace' : 'restore';
  }

  /**
   * Registers the grant and tells everyone here. A grant that another owner has already overtaken is not registered.
   * @returns whether the subscriber owns the session as far as this node knows
   */
  grant(subscriber: Subscriber, sessionId: string, granted: Granted): boolean {
    const { view } = granted;
    const known = this.hub.get(sessionId)?.view;
    const isStillOurs = known?.state === 'owned' && known.connectionId === subscriber.id;
    const overtaken = known !== undefined && isNewer(known, view) && !isStillOurs;
    // The stored answer to a request that was sent twice may be older than the view that comes with it.
    const ended = view.state !== 'owned' || view.connectionId !== subscriber.id;
    if (overtaken || ended) return false;
    if (granted.restoresPrincipal && !this.#restored.has(subscriber)) {
      subscriber.restorePrincipal(view.principal);
      this.#restored.add(subscriber);
    }
    const earlier = this.leases.get(sessionId);
    if (earlier !== undefined && earlier.subscriber !== subscriber) this.lose(earlier, granted.reason, view.epoch);
    const lease = this.leases.add(
      {
        sessionId,
        connectionId: subscriber.id,
        epoch: view.epoch,
        subscriber,
        principal: view.principal,
        tokenHash: granted.tokenHash,
        leaseMs: this.deps.settingsOf(sessionId).leaseMs,
      },
      granted.stamp,
    );
    this.#log('session owned', lease, { reason: granted.reason });
    const { reason, requestId } = granted;
    this.announce(eventOf(sessionId, view, reason, requestId));
    this.deps.onGranted?.(subscriber, { sessionId, connectionId: lease.connectionId, epoch: lease.epoch });
    // What went away while the store was asked has nobody else to give its lease back.
    if (!subscriber.open) this.depart(lease, this.#revoked.has(subscriber) ? { release: 'revoked' } : {});
    else if (!this.follows(subscriber, sessionId)) this.depart(lease, { release: 'unsubscribed' });
    return this.leases.get(sessionId) === lease;
  }

  follows(subscriber: Subscriber, sessionId: string): boolean {
    return this.subscriptions.get(subscriber)?.has(sessionId) === true;
  }

  /** An event, from the bus or found out otherwise. */
  announce(event: OwnershipEvent): void {
    const lease = this.leases.get(event.sessionId);
    if (lease !== undefined) {
      const isOther = event.epoch > lease.epoch && event.connectionId !== lease.connectionId;
      const isOver = event.epoch === lease.epoch && event.state !== 'owned';
      if (isOther || isOver) this.lose(lease, event.reason, event.epoch);
    }
    if (this.hub.deliver(event)) this.onNews(event);
  }

  lose(lease: Lease, reason: OwnershipReason, epoch: number): void {
    this.leases.remove(lease);
    const why = LOST_REASONS[reason] ?? 'expired';
    this.#log('ownership lost', lease, { reason: why });
    this.hub.flush(lease.sessionId);
    lease.subscriber.send({ type: 'ownership_lost', session_id: lease.sessionId, reason: why, owner_epoch: epoch });
  }

  /** Hands the lease of a connection that is gone to the grace period, or frees the session. */
  depart(lease: Lease, how: { release?: ReleaseRequest['reason']; holdMs?: number }): void {
    this.leases.remove(lease);
    const settings = this.deps.settingsOf(lease.sessionId);
    const { release, holdMs = settings.graceMs } = how;
    this.#log(release === undefined ? 'session held' : 'session released', lease, {});
    this.departures.add(lease, { release, holdMs, policy: settings.handoverPolicy });
  }

  /** Whatever the connection is still granted is freed. */
  revoke(subscriber: Subscriber): void {
    this.#revoked.add(subscriber);
  }

  onUnconfirmed(lease: Lease): void {
    this.#log('lease unconfirmed', lease, {});
    const { sessionId, epoch } = lease;
    lease.subscriber.send({
      type: 'ownership_lost',
      session_id: sessionId,
      reason: 'lease_unconfirmed',
      owner_epoch: epoch,
    });
  }

  onConfirmed(lease: Lease): void {
    const view = this.hub.get(lease.sessionId)?.view;
    if (view === undefined) return;
    this.#log('lease confirmed', lease, {});
    const message = this.hub.messageOf(lease.sessionId, { ...view, state: 'owned', epoch: lease.epoch }, 'confirmed');
    lease.subscriber.send({ ...message, owner: true });
  }

  onLost(lease: Lease): void {
    const { sessionId } = lease;
    void this.resync([sessionId]).then(async () => {
      if (this.leases.get(sessionId) !== lease) return;
      // Whatever the store says now: it refused this connection at this epoch.
      this.lose(lease, 'resynced', lease.epoch);
      await this.resync([sessionId]);
    });
  }

  onMissing(lease: Lease): void {
    if (this.#reestablishing.has(lease)) return;
    this.#reestablishing.add(lease);
    void this.#reestablish(lease).finally(() => this.#reestablishing.delete(lease));
  }

  /** Compares what the local subscribers were told with the store, and tells them what they missed. */
  async resync(sessionIds: readonly string[]): Promise<number> {
    const before = sessionIds.map((sessionId) => this.hub.get(sessionId)?.view);
    const views = await this.deps.store.peek(sessionIds).catch((error: unknown) => {
      this.deps.log.warn({ sessions: sessionIds.length, error }, 'sessions not compared with the store');
      return [];
    });
    let repaired = 0;
    for (const [index, view] of views.entries()) {
      const sessionId = sessionIds[index];
      if (sessionId === undefined || view === undefined) continue;
      // Something newer was heard while the store was asked: its answer says nothing about that.
      if (this.hub.get(sessionId)?.view !== before[index]) continue;
      if (this.#repair(sessionId, view)) repaired++;
    }
    if (repaired > 0) this.deps.telemetry.repaired(repaired);
    return repaired;
  }

  close(): void {
    this.leases.close();
    this.access.close();
    this.hub.close();
  }

  #repair(sessionId: string, view: SessionView): boolean {
    const known = this.hub.get(sessionId)?.view;
    if (known === undefined) return false;
    if (isNewer(view, known)) {
      this.announce(eventOf(sessionId, view, 'resynced'));
      return true;
    }
    if (known.state === view.state && known.connectionId === view.connectionId) return false;
    // The store went back: it lost the record, or its last changes. An owner of this node hears of it by its lease.
    if (this.leases.get(sessionId) !== undefined) return false;
    const ordered = { ...view, epoch: known.epoch, rev: known.rev + 1 };
    this.announce(eventOf(sessionId, ordered, view.epoch === 0 ? 'lost' : 'resynced'));
    return true;
  }

  async #reestablish(lease: Lease): Promise<void> {
    const { subscriber, sessionId, principal, tokenHash, leaseMs } = lease;
    const stamp = this.leases.stamp();
    const requestId = crypto.randomUUID();
    try {
      const outcome = await this.deps.store.claim({
        ...this.refOf(subscriber),
        mode: 'reestablish',
        sessionId,
        requestId,
        principal,
        principalRule: 'exact',
        tokenHash,
        attemptHash: '',
        policy: 'explicit_claim',
        leaseMs,
        lockValue: '',
      });
      if (this.leases.get(sessionId) !== lease) return;
      if (outcome.result === 'owned') {
        this.grant(subscriber, sessionId, { view: outcome.view, tokenHash, stamp, reason: 'reestablished', requestId });
      } else {
        this.lose(lease, 'lost', outcome.view.epoch);
      }
    } catch (error) {
      // The next renewal finds the record missing again.
      this.deps.log.warn({ session: logHandle(sessionId), error }, 'session not re-established');
    }
  }

  #log(message: string, lease: Lease, fields: object): void {
    const { sessionId, connectionId, epoch } = lease;
    this.deps.log.info({ session: logHandle(sessionId), connection: connectionId, epoch, ...fields }, message);
  }
}
