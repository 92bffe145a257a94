import type { SessionReport } from '../protocol/http.js';
import type { Subscription } from '../protocol/messages.js';
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
   * The connection is gone. Its leases become held (`holdMs`: the grace period if absent) or, with `release`, free.
   * Resolves once the store knows, which may take as long as the store is away.
   */
  closed(subscriber: Subscriber, how: { release: boolean; holdMs?: number }): Promise<void>;
  inspect(sessionId: string): Promise<SessionReport>;
  giveOwner(sessionId: string, target: { connection_id?: string; principal?: string }): Promise<SessionReport>;
  removeOwner(sessionId: string): Promise<SessionReport>;
  /** Those under way included. */
  /** Unsubscribes the target's connections everywhere; without a target all of the session's. */
  removeSubscriptions(sessionId: string, target: { connection_id?: string; principal?: string }): Promise<void>;
  subscriptionCount(subscriber: Subscriber): number;
}
