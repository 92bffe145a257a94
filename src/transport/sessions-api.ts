import type { HistoryPage, NewMessage, PublishResult, SessionReport } from '../protocol/http.js';
import type { ClientMessage, SendRequest, Subscription } from '../protocol/messages.js';
import type { HistoryRange } from '../session/message-ports.js';
import type { Waiting } from '../session/owner-sends.js';
import type { Subscriber } from '../session/subscriber.js';

export interface ClaimDetails {
  session_id: string;
  attempt_id?: string;
  force?: boolean;
}

/** What the transport needs of the session domain. All throw HoldfastError for what the caller is meant to see. */
export interface SessionsApi {
  /** Sends the acknowledgement itself, so that nothing of the session precedes it. */
  subscribe(subscriber: Subscriber, subscription: Subscription, id: string | undefined): Promise<void>;
  unsubscribe(subscriber: Subscriber, sessionId: string): Promise<void>;
  /** Sends the acknowledgement itself. */
  claim(subscriber: Subscriber, request: ClaimDetails, id: string | undefined): Promise<void>;
  release(subscriber: Subscriber, sessionId: string): Promise<void>;
  /** Ends what the subscriber's rights, which have changed, no longer allow, and tells it. */
  recheckRights(subscriber: Subscriber): void;
  /**
   * Sends the acknowledgement itself. What follows in the same turn keeps its order, so the caller need not wait for one
   * before the next; it must wait for all before it claims, releases or unsubscribes.
   * @param waiting told, at once or later, with what `signal` would reject with, or with nothing
   */
  send(subscriber: Subscriber, message: SendRequest, waiting: Waiting): void;
  /** Sends the acknowledgement itself. */
  signal(subscriber: Subscriber, message: Extract<ClientMessage, { type: 'signal' }>): Promise<void>;
  /** Publishes for the application. Those of one session keep their order. */
  publish(messages: readonly (NewMessage & { session_id: string })[]): Promise<PublishResult[]>;
  /** @param limit 1 to 1,000 */
  history(sessionId: string, range: HistoryRange, limit: number): Promise<HistoryPage>;
  /** Removes the messages up to and including `through`. */
  truncate(sessionId: string, through: number): Promise<void>;
  /** Frees the session, ends all subscriptions and removes its messages. */
  remove(sessionId: string): Promise<void>;
  /**
   * The connection is gone. Its leases become held (`holdMs`: the grace period if absent) or, with `release`, free.
   * Resolves once the store knows, which may take as long as the store is away.
   */
  closed(subscriber: Subscriber, how: { release: boolean; holdMs?: number }): Promise<void>;
  inspect(sessionId: string): Promise<SessionReport>;
  giveOwner(sessionId: string, target: { connection_id?: string; principal?: string }): Promise<SessionReport>;
  removeOwner(sessionId: string): Promise<SessionReport>;
  /** Unsubscribes the target's connections everywhere; without a target all of the session's. */
  removeSubscriptions(sessionId: string, target: { connection_id?: string; principal?: string }): Promise<void>;
  /** Those under way included. */
  subscriptionCount(subscriber: Subscriber): number;
}
