/**
 * What messages need from a store. Every verb is one atomic step by the store's clock. `history.ts` is the definition;
 * the memory store runs it, the Redis scripts mirror it, and one contract suite holds both to it.
 */
import type { Position } from '../protocol/messages.js';

/** A session's history as the store has it. */
export interface StreamState {
  /** Names a run of offsets of which none is given twice: another begins when the store may have lost the last ones. */
  epoch: string;
  /** The last offset given; 0 before the first. */
  top: number;
  /** The oldest offset that can be read; `top + 1` when none can. */
  first: number;
  /** Earlier epochs, each up to the offset to which it is part of this history; newest first, at most 8. */
  forks: readonly Position[];
}

/** How much of a session's messages is kept. */
export interface Retention {
  /** 0: nothing. */
  maxCount: number;
  /** Of the messages' tails, UTF-8. */
  maxBytes: number;
  maxAgeMs: number;
  /** What happens to a message for which there is no room. */
  whenFull: 'drop_oldest' | 'refuse';
}

/** All of it is always there, be it undefined: reading objects of one shape is several times as fast. */
export interface MessageItem {
  /** The frame's text after offset and time, as `message-frame.ts` makes it. */
  tail: string;
  /** The tail's, UTF-8. */
  bytes: number;
  ephemeral: boolean;
  /** An owner's message: accepted only while exactly that connection has the session at that epoch, owned or held. */
  owner: { connectionId: string; epoch: number } | undefined;
  /** The application's: accepted only at that owner epoch. */
  expectedOwnerEpoch: number | undefined;
  /** Accepted only when this is the last offset given, by earlier items of the request too. */
  expectedOffset: number | undefined;
  /**
   * For `keepMs` (5 minutes unless given, at most) the same hash is the same message; with another fingerprint it is refused. Looked at before anything
   * else, so that a repeat gets its answer also when the owner changed in between.
   */
  idempotency: { hash: string; fingerprint: string; keepMs?: number | undefined } | undefined;
}

/** How long an idempotency key is remembered, in ms. */
export const IDEMPOTENCY_MS = 300_000;

export interface AppendRequest {
  sessionId: string;
  /**
   * Who writes. A writer has one request per session under way, repeats it unchanged until it is answered or given up,
   * and only then sends the next.
   */
  writerId: string;
  /** Rises with each request of the writer. A repeat is answered as before; one that comes late does nothing. */
  sequence: number;
  retention: Retention;
  /** 1 to 128. */
  items: readonly MessageItem[];
}

export type ItemResult =
  | { result: 'accepted' | 'duplicate'; offset: number }
  | { result: 'not_owner' | 'stale_epoch' | 'offset_conflict' | 'idempotency_conflict' | 'history_full' };

export interface AppendOutcome {
  epoch: string;
  top: number;
  /** One for each item, in their order; none when the request came late. */
  results: ItemResult[];
}

export interface HistoryEntry {
  offset: number;
  atMs: number;
  tail: Buffer;
}

/** A part of the history. `after`: what follows that offset; `before`: what precedes it. */
export type HistoryRange = { after: number } | { before: number };

export interface HistoryRead {
  state: StreamState;
  /** Oldest first, without gap; at most the limit, and not much more than 256 KiB. */
  entries: HistoryEntry[];
}

export interface MessageStore {
  /**
   * Checks, stores and publishes the items, in order, in one step; what is accepted goes out as one `MessageBatch`.
   * @throws HoldfastError `store_unavailable` (every verb does); then it is not known whether anything was stored
   */
  append(request: AppendRequest): Promise<AppendOutcome>;

  /** Writes nothing. A session without messages has an empty state with epoch ''. @param limit 1 to 1,000 */
  read(sessionId: string, range: HistoryRange, limit: number): Promise<HistoryRead>;

  /**
   * The states of sessions that have subscribers, which keeps their positions from expiring, in the order asked;
   * undefined for one whose part of the store is away. A session that has none gets its first.
   */
  states(sessionIds: readonly string[]): Promise<(StreamState | undefined)[]>;

  /** Removes the messages up to and including `through`. */
  truncate(sessionId: string, through: number): Promise<StreamState>;

  /** Removes everything, position included: what comes later is of another epoch. */
  remove(sessionId: string): Promise<void>;
}

/** Messages that one step accepted, as they are published to all nodes. */
export interface MessageBatch {
  kind: 'messages';
  sessionId: string;
  epoch: string;
  atMs: number;
  /** Offsets without gap but for the ephemeral ones, which carry the last offset given before them. */
  messages: readonly PublishedMessage[];
}

export interface PublishedMessage {
  offset: number;
  ephemeral: boolean;
  /** Text within one process, else the bytes as they came. */
  tail: string | Buffer;
  /** The tail's, UTF-8. */
  bytes: number;
}
