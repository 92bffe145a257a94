import type { Clock } from '../lib/clock.js';
import { microtask } from '../lib/microtask.js';
import { HoldfastError } from '../protocol/errors.js';
import type {
  AppendOutcome,
  AppendRequest,
  ItemResult,
  MessageItem,
  MessageStore,
  Retention,
} from './message-ports.js';

/** Of one request to the store. */
const MAX_ITEMS = 128;
const MAX_REQUEST_BYTES = 256 * 1024;
/** Waiting or under way. */
const MAX_SESSION_ITEMS = 1_000;
const MAX_SESSION_BYTES = 4 * 1024 * 1024;
const MAX_NODE_ITEMS = 100_000;
const MAX_NODE_BYTES = 64 * 1024 * 1024;
const RETRY_MS = 250;
const GIVE_UP_MS = 10_000;
const FULL_RETRY_MS = 100;

export interface Written {
  item: ItemResult;
  /** The stream's. */
  epoch: string;
}

export interface MessageWriterOptions {
  messages: Pick<MessageStore, 'append'>;
  clock: Clock;
  /** Unique to this run of this node. */
  writerId: string;
  retentionOf: (sessionId: string) => Retention;
}

/** A message to be written, which is told once what became of it. Neither callback may throw. */
export interface Entry {
  readonly item: MessageItem;
  /** @param epoch the stream's */
  written(result: ItemResult, epoch: string): void;
  /** With what `append` throws. */
  failed(error: unknown): void;
}

/** What waits, oldest first, what is under way included. */
interface Queue {
  waiting: Entry[];
  bytes: number;
}

/**
 * Writes the messages of this node, for each session in order: one request under way, and what arrives meanwhile in the
 * next. A lone message is written at once.
 */
export class MessageWriter {
  readonly #options: MessageWriterOptions;
  readonly #queues = new Map<string, Queue>();
  #items = 0;
  #bytes = 0;
  /** One count for all sessions: it only has to rise for each of them. */
  #sequence = 0;

  constructor(options: MessageWriterOptions) {
    this.#options = options;
  }

  /**
   * @throws HoldfastError `rate_limited` when too much waits; `store_unavailable`, and then it is not known whether the
   * message was stored
   */
  append(sessionId: string, item: MessageItem): Promise<Written> {
    return new Promise((resolve, failed) => {
      const written = (result: ItemResult, epoch: string) => resolve({ item: result, epoch });
      this.add(sessionId, { item, written, failed });
    });
  }

  /** As `append`, where there are so many messages that a promise for each counts. */
  add(sessionId: string, entry: Entry): void {
    const { bytes } = entry.item;
    const known = this.#queues.get(sessionId);
    const queue = known ?? { waiting: [], bytes: 0 };
    const isFull =
      queue.waiting.length >= MAX_SESSION_ITEMS ||
      queue.bytes + bytes > MAX_SESSION_BYTES ||
      this.#items >= MAX_NODE_ITEMS ||
      this.#bytes + bytes > MAX_NODE_BYTES;
    if (isFull) {
      const details = { retryAfterMs: FULL_RETRY_MS };
      entry.failed(new HoldfastError('rate_limited', 'too many messages wait to be stored', details));
      return;
    }
    queue.waiting.push(entry);
    queue.bytes += bytes;
    this.#items++;
    this.#bytes += bytes;
    if (queue === known) return;
    this.#queues.set(sessionId, queue);
    // Later in this turn: what was read with the first message goes with it.
    microtask(() => void this.#run(sessionId, queue));
  }

  async #run(sessionId: string, queue: Queue): Promise<void> {
    while (queue.waiting.length > 0) {
      const batch = nextBatch(queue.waiting);
      let outcome: AppendOutcome;
      try {
        outcome = await this.#request(sessionId, batch);
      } catch (error) {
        // Whatever waits has waited for the same store; it has no reason to wait as long again.
        for (const entry of this.#remove(queue, queue.waiting.length)) entry.failed(error);
        continue;
      }
      const { epoch, results } = outcome;
      this.#remove(queue, batch.length);
      let index = 0;
      for (const entry of batch) {
        const result = results[index++];
        if (result === undefined) entry.failed(unavailable());
        else entry.written(result, epoch);
      }
    }
    this.#queues.delete(sessionId);
  }

  /** Until it is known what became of it, the same request again. */
  async #request(sessionId: string, batch: readonly Entry[]): Promise<AppendOutcome> {
    const { messages, clock, writerId, retentionOf } = this.#options;
    const request: AppendRequest = {
      sessionId,
      writerId,
      sequence: ++this.#sequence,
      retention: retentionOf(sessionId),
      items: batch.map(({ item }) => item),
    };
    const giveUpAtMs = clock.monotonicMs() + GIVE_UP_MS;
    for (;;) {
      try {
        return await messages.append(request);
      } catch (error) {
        const isUnknown = error instanceof HoldfastError && error.code === 'store_unavailable';
        if (!isUnknown || clock.monotonicMs() >= giveUpAtMs) throw error;
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS).unref());
      }
    }
  }

  #remove(queue: Queue, count: number): Entry[] {
    const removed = queue.waiting.splice(0, count);
    this.#items -= removed.length;
    for (const { item } of removed) {
      queue.bytes -= item.bytes;
      this.#bytes -= item.bytes;
    }
    return removed;
  }
}

/** As many as one request takes, and one in any case. */
function nextBatch(waiting: readonly Entry[]): Entry[] {
  let count = 0;
  let bytes = 0;
  for (const next of waiting.slice(0, MAX_ITEMS)) {
    bytes += next.item.bytes;
    if (count > 0 && bytes > MAX_REQUEST_BYTES) break;
    count++;
  }
  return waiting.slice(0, count);
}

function unavailable(): HoldfastError {
  return new HoldfastError('store_unavailable', 'the store has no answer to this message');
}
