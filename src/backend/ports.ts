/** The events for the application, as a store keeps them until they are delivered. */

/** What the application is told. */
export type EventType =
  | 'session.owned'
  | 'session.reclaimed'
  | 'session.held'
  | 'session.released'
  | 'session.idle'
  | 'session.signal'
  | 'login.revoked';

export interface OutboxEvent {
  /** Unique, and in the order of each session: `<partition>-<ms>-<number>`. */
  id: string;
  type: EventType;
  /** What stays in order: a session's id, or a login's handle. */
  subject: string;
  /** ms since 1970 by the store's clock. */
  atMs: number;
  /** The event's own fields, snake_case, as the application gets them. */
  fields: Readonly<Record<string, unknown>>;
  /** How often its delivery has failed, over all nodes. */
  attempts: number;
}

export interface OutboxBacklog {
  waiting: number;
  /** Of the partition that has most; with `OUTBOX_ROOM` of them each further event costs the oldest. */
  fullest: number;
  dead: number;
}

/** How many events a partition keeps. */
export const OUTBOX_ROOM = 10_000;

/**
 * Events of state changes are written by the step that makes the change, so none is lost and none is made up. A
 * partition is delivered by one node at a time; when that one dies another takes over what it had in hand.
 */
export interface Outbox {
  readonly partitions: number;

  /**
   * Counts the consumer among those that deliver, for `ttlMs`; 0: no longer.
   * @returns how many there are, by which they share the partitions
   */
  join(consumer: string, ttlMs: number): Promise<number>;

  /** Takes or keeps the delivery of a partition for `ttlMs`. @returns whether `consumer` has it */
  acquire(partition: number, consumer: string, ttlMs: number): Promise<boolean>;

  /** Gives the partition up, if it is the consumer's. */
  release(partition: number, consumer: string): Promise<void>;

  /**
   * Events of the partition, oldest first: `known` false, also those that another consumer, or this one before, had
   * read and not finished; then only new ones.
   */
  read(partition: number, consumer: string, limit: number, known: boolean): Promise<OutboxEvent[]>;

  /** Delivered. */
  done(partition: number, eventIds: readonly string[]): Promise<void>;

  /** A delivery failed. @returns how often by now */
  failed(partition: number, eventId: string): Promise<number>;

  /** Gives an event up: it goes to the partition's dead letters, of which the last 1,000 are kept. */
  bury(partition: number, event: OutboxEvent, reason: string): Promise<void>;

  /**
   * An event that belongs to no change of state.
   * @throws HoldfastError `rate_limited` when half of the partition's room is taken: it must not push out the others
   */
  add(event: Pick<OutboxEvent, 'type' | 'subject' | 'fields'>): Promise<void>;

  /** How many events wait, in all and in the fullest partition, and how many are dead. */
  backlog(): Promise<OutboxBacklog>;
}
