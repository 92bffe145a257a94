/** Who is in a session, counted by principal. Every verb is one atomic step by the store's clock. */
import type { PresenceMember } from '../protocol/messages.js';

export interface Presence {
  /** Rises with each change. */
  rev: number;
  /** Principals. */
  count: number;
  /** At most 1,000 of them. */
  members: PresenceMember[];
}

/** One connection in one session. */
export interface PresenceEntry {
  sessionId: string;
  connectionId: string;
  principal: string;
}

export interface PresenceTimings {
  /** How long an entry lasts that its node does not renew. */
  presenceTtlMs: number;
}

/** A principal came, with its first connection, or went, when the last one was gone for the grace period. */
export interface PresenceEvent {
  kind: 'presence';
  sessionId: string;
  event: 'joined' | 'left';
  principal: string;
  rev: number;
  count: number;
}

export interface PresenceStore {
  /** How many partitions `sweep` is called with. */
  readonly partitions: number;

  /**
   * Enters the connection and publishes `joined` for the first of its principal. Again, it does nothing more.
   * @returns who is there, the connection included
   * @throws HoldfastError `store_unavailable` (every verb does)
   */
  join(entry: PresenceEntry): Promise<Presence>;

  read(sessionId: string): Promise<Presence>;

  /** Renews entries of live connections, and enters again those that the store lost. */
  renew(entries: readonly PresenceEntry[]): Promise<void>;

  /** The connections are gone: their entries end after `graceMs`, by the sweep. 0: at once. */
  leave(entries: readonly PresenceEntry[], graceMs: number): Promise<void>;

  /** Ends what is due in one partition, at most `limit`, and publishes `left` for each last one of its principal. */
  sweep(partition: number, limit: number): Promise<{ ended: number; more: boolean }>;
}
