import { HoldfastError } from '../protocol/errors.js';
import type {
  ClientMessage,
  OwnershipLostReason,
  OwnershipReason,
  Payload,
  ServerMessage,
  SubscribeAck,
  Subscription,
} from '../protocol/messages.js';
import type { FakeConnection } from './fake-connection.js';
import { FakeRecord, type Party } from './fake-record.js';
import { FakeStream, type Sender } from './fake-stream.js';
import { later } from './later.js';

export interface SessionSettings {
  graceMs: number;
  historyLimit: number;
  showPrincipals: boolean;
  /** Rises with every call, over all sessions. */
  nextNumber: () => number;
}

type Send = Extract<ClientMessage, { type: 'send' }>;
type Signal = Extract<ClientMessage, { type: 'signal' }>;

const LOST: Partial<Record<OwnershipReason, OwnershipLostReason>> = {
  reclaimed: 'reclaimed',
  forced: 'forced',
  transferred: 'transferred',
  removed: 'removed',
};

/** One session: who owns it, who follows it, and what is said in it. */
export class FakeSession {
  readonly id: string;
  readonly stream: FakeStream;
  readonly record: FakeRecord;
  readonly subscribers = new Set<FakeConnection>();
  readonly #settings: SessionSettings;
  #endGrace: () => void = () => {};
  /** The owner's node cannot be sure of the lease. */
  #doubted = false;

  constructor(id: string, settings: SessionSettings) {
    this.id = id;
    this.#settings = settings;
    this.stream = new FakeStream(id, settings.historyLimit, settings.nextNumber);
    this.record = new FakeRecord(id, settings.nextNumber, (reason, before) => this.#onChange(reason, before));
  }

  /** @throws HoldfastError as the protocol says */
  subscribe(connection: FakeConnection, subscription: Subscription, id: string | undefined): void {
    const { claim, reconnect_token: token, attempt_id: attemptId, since } = subscription;
    if (this.subscribers.has(connection)) {
      throw new HoldfastError('already_subscribed', 'this connection follows the session already');
    }
    connection.require('watch', this.id);
    if (token !== undefined) connection.require('own', this.id, 'reconnect_token');
    const claims = claim !== 'never' && connection.may('own', this.id);
    const wish = { attemptId, claims, ...(token !== undefined && { token }) };
    const { result, tokenExpired } = this.record.acquire(connection, wish);
    this.subscribers.add(connection);
    const { begins, backlog } = this.stream.begin(since);
    const ack: SubscribeAck = {
      type: 'subscribe_ack',
      ...(id !== undefined && { id }),
      ...(token !== undefined && { token_status: tokenExpired ? 'expired' : 'accepted' }),
      ...this.#acknowledgement(result === 'owned'),
      ...begins,
    };
    connection.send(ack);
    for (const message of backlog) connection.send(message);
  }

  /** @throws HoldfastError as the protocol says */
  claim(connection: FakeConnection, { id, attempt_id: attemptId, force }: Extract<ClientMessage, { type: 'claim' }>) {
    this.#requireSubscribed(connection);
    if (force === true) connection.require('force', this.id, 'force');
    connection.require('own', this.id);
    const { state, until } = this.record;
    const { result } = this.record.acquire(connection, { attemptId, claims: true });
    if (result !== 'owned' && force === true) {
      this.record.take(connection, 'forced', attemptId);
    } else if (result !== 'owned' && state === 'held') {
      const details = { retryAfterMs: Math.max(0, until - Date.now()) };
      throw new HoldfastError('session_held', 'the session is held for its owner', details);
    } else if (result !== 'owned') {
      throw new HoldfastError('session_owned', 'another connection owns the session');
    }
    connection.send({ type: 'claim_ack', ...(id !== undefined && { id }), ...this.#acknowledgement(true) });
  }

  /** @throws HoldfastError `not_subscribed`, `not_owner`, `ownership_unconfirmed` */
  release(connection: FakeConnection): void {
    this.#requireSubscribed(connection);
    this.#requireOwner(connection);
    this.record.free('released');
  }

  /** @throws HoldfastError `not_subscribed` */
  unsubscribe(connection: FakeConnection): void {
    this.#requireSubscribed(connection);
    this.leave(connection, 'unsubscribed');
  }

  /** The connection's subscription ends. @param how what becomes of what it owns: free for that reason, or held so long */
  leave(connection: FakeConnection, how: 'unsubscribed' | 'removed' | 'revoked' | { holdMs?: number }): void {
    const owns = this.record.owns(connection);
    this.subscribers.delete(connection);
    if (!owns) return;
    if (typeof how === 'string') this.record.free(how);
    else this.hold(how.holdMs);
  }

  /** Keeps it for its owner, whose connection is gone. */
  hold(holdMs = this.#settings.graceMs): void {
    this.record.hold(holdMs);
    this.#endGrace = later(holdMs, () => this.expire());
  }

  /** Ends a grace period. @returns whether there was one */
  expire(): boolean {
    if (this.record.state !== 'held') return false;
    this.record.free('expired');
    return true;
  }

  /** The owner is told that its node cannot be sure of the lease, or that it is again. */
  doubt(doubted: boolean): void {
    const { owner, state, epoch } = this.record;
    if (state !== 'owned' || doubted === this.#doubted) return;
    this.#doubted = doubted;
    if (doubted)
      this.#tell(owner, {
        type: 'ownership_lost',
        session_id: this.id,
        reason: 'lease_unconfirmed',
        owner_epoch: epoch,
      });
    else this.#tell(owner, { ...this.#ownership('confirmed'), owner: true });
  }

  /** @throws HoldfastError as the protocol says */
  send(connection: FakeConnection, message: Send): void {
    const { id, idempotency_key: idempotencyKey } = message;
    this.#requireSubscribed(connection);
    connection.require('send', this.id);
    const payload = payloadOf(message);
    const key = idempotencyKey === undefined ? undefined : `${connection.principal} ${idempotencyKey}`;
    const owns = this.record.owns(connection);
    if (owns) this.#requireOwner(connection);
    const known = key === undefined ? undefined : this.stream.known(key, payload);
    if (known === undefined) this.#requireOwner(connection);
    const { epoch: ownerEpoch } = this.record;
    const offset = known ?? this.publish(payload, { ownerEpoch, ...this.#shown(connection) });
    if (key !== undefined && known === undefined) this.stream.remember(key, payload, offset);
    const echo = id !== undefined && { id };
    connection.send({ type: 'send_ack', ...echo, session_id: this.id, offset, owner_epoch: ownerEpoch });
  }

  /** @throws HoldfastError `not_subscribed`, `forbidden` */
  signal(connection: FakeConnection, message: Signal): void {
    const { id } = message;
    this.#requireSubscribed(connection);
    connection.require('signal', this.id);
    const { owner, state } = this.record;
    const isOwned = state === 'owned';
    const from = { connection_id: connection.id, ...this.#shown(connection) };
    if (isOwned) this.#tell(owner, { type: 'signal', session_id: this.id, ...from, ...payloadOf(message) });
    connection.send({ type: 'signal_ack', ...(id !== undefined && { id }), session_id: this.id, owner: isOwned });
  }

  /** @returns the message's offset */
  publish(payload: Payload, sender: Sender = {}, ephemeral = false): number {
    const message = ephemeral ? this.stream.ephemeral(payload) : this.stream.append(payload, sender);
    for (const subscriber of this.subscribers) subscriber.send(message);
    return message.offset;
  }

  /** Forgets all messages. Who is there is told; who comes back with a position finds that it is of another history. */
  loseHistory(): void {
    this.stream.lose();
    const { position } = this.stream;
    for (const subscriber of this.subscribers) {
      subscriber.send({ type: 'reset', session_id: this.id, position, recovered: false });
    }
  }

  /** Calls the timer off. */
  stop(): void {
    this.#endGrace();
  }

  #onChange(reason: OwnershipReason, before: Party | undefined): void {
    this.#endGrace();
    this.#doubted = false;
    const { epoch } = this.record;
    const lost = LOST[reason];
    if (lost !== undefined) {
      this.#tell(before, { type: 'ownership_lost', session_id: this.id, reason: lost, owner_epoch: epoch });
    }
    const message = this.#ownership(reason);
    for (const subscriber of this.subscribers) {
      const isOwner = this.record.owns(subscriber);
      const token = reason === 'transferred' && { reconnect_token: this.record.token };
      subscriber.send(isOwner ? { ...message, owner: true, ...token } : message);
    }
  }

  #ownership(reason: OwnershipReason) {
    const { state, epoch, rev } = this.record;
    const about = { type: 'ownership', session_id: this.id, state, owner_epoch: epoch, rev, reason } as const;
    return { ...about, ...this.#publicPart() };
  }

  #acknowledgement(owner: boolean) {
    const { state, epoch, rev, token } = this.record;
    return {
      session_id: this.id,
      owner,
      state,
      owner_epoch: epoch,
      rev,
      grace_ms: this.#settings.graceMs,
      ...(owner && { reconnect_token: token }),
      ...this.#publicPart(),
    };
  }

  #publicPart(): { principal?: string; until?: number } {
    const { owner, state, until } = this.record;
    return { ...(owner !== undefined && this.#shown(owner)), ...(state === 'held' && { until }) };
  }

  #shown({ principal }: Party): { principal?: string } {
    return this.#settings.showPrincipals ? { principal } : {};
  }

  /** Only who follows the session; whom the script made up hears nothing. */
  #tell(party: Party | undefined, message: ServerMessage): void {
    for (const subscriber of this.subscribers) if (subscriber === party) subscriber.send(message);
  }

  #requireSubscribed(connection: FakeConnection): void {
    if (!this.subscribers.has(connection)) throw new HoldfastError('not_subscribed', 'subscribe to the session first');
  }

  #requireOwner(connection: FakeConnection): void {
    if (!this.record.owns(connection)) {
      throw new HoldfastError('not_owner', 'this connection does not own the session');
    }
    if (this.#doubted) throw new HoldfastError('ownership_unconfirmed', 'the lease is not confirmed');
  }
}

function payloadOf(message: Payload): Payload {
  return 'bytes' in message ? { bytes: message.bytes } : { data: message.data };
}
