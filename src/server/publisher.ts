import { HoldfastError } from '../protocol/errors.js';
import type { NewMessage, Published, PublishResult } from '../protocol/http.js';
import { type AddressedMessage, keyed } from './messages.js';

/** Publishes messages one by one, as they come. */
export interface Publisher {
  /**
   * Those of one session keep their order, also when nobody waits for one before the next. Each promise must be handled.
   * @throws HoldfastError `rate_limited` when too many messages wait already; otherwise what the gateway answers
   * @throws TypeError for what JSON cannot say
   */
  publish(sessionId: string, message: NewMessage): Promise<Published>;
  /** Takes no more, and resolves when what waits is done with. */
  close(): Promise<void>;
}

/** What a publisher publishes with; `Backend` is one. */
interface Destination {
  publishMany(messages: readonly AddressedMessage[]): Promise<PublishResult[]>;
}

interface Waiting {
  message: AddressedMessage;
  bytes: number;
  resolve(published: Published): void;
  reject(error: unknown): void;
}

const MAX_WAITING = 10_000;
const MAX_WAITING_BYTES = 16 * 1_024 * 1_024;
/** Of one request. */
const MAX_BATCH = 1_000;
const MAX_BATCH_BYTES = 1_024 * 1_024;
/** A request is refused with these as a whole, though one message alone may be the reason. */
const OF_ONE_MESSAGE: ReadonlySet<string> = new Set(['invalid_field', 'malformed_frame', 'payload_too_large']);

/**
 * A publisher over `backend`, with one request under way at a time: a lone message goes at once, and what comes during a
 * request goes together in the next, at most 1,000 messages of 1 MiB. Nothing waits for a timer. At most 10,000 messages
 * or 16 MiB wait.
 */
export function createPublisher(backend: Destination): Publisher {
  const queue: Waiting[] = [];
  let bytesWaiting = 0;
  let pump: Promise<void> | undefined;
  let isClosed = false;

  function takeBatch(): Waiting[] {
    let bytes = 0;
    let count = 0;
    for (const waiting of queue) {
      bytes += waiting.bytes;
      if (count === MAX_BATCH || (count > 0 && bytes > MAX_BATCH_BYTES)) break;
      count++;
    }
    return queue.splice(0, count);
  }

  async function drain(): Promise<void> {
    // What is published in the same turn goes together.
    await Promise.resolve();
    while (queue.length > 0) {
      const batch = takeBatch();
      await send(backend, batch);
      for (const { bytes } of batch) bytesWaiting -= bytes;
    }
    pump = undefined;
  }

  return {
    publish: async (sessionId, message) => {
      if (isClosed) throw new HoldfastError('draining', 'The publisher is closed');
      const addressed = { ...keyed(message), session_id: sessionId };
      const bytes = Buffer.byteLength(JSON.stringify(addressed));
      if (queue.length >= MAX_WAITING || bytesWaiting + bytes > MAX_WAITING_BYTES) {
        throw new HoldfastError('rate_limited', 'Too many messages wait to be published', { retryAfterMs: 100 });
      }
      bytesWaiting += bytes;
      return new Promise<Published>((resolve, reject) => {
        queue.push({ message: addressed, bytes, resolve, reject });
        pump ??= drain();
      });
    },
    close: async () => {
      isClosed = true;
      await pump;
    },
  };
}

/** Settles all of the batch. */
async function send(backend: Destination, batch: readonly Waiting[]): Promise<void> {
  let results: PublishResult[];
  try {
    results = await backend.publishMany(batch.map(({ message }) => message));
  } catch (error) {
    const mayBeOne = error instanceof HoldfastError && OF_ONE_MESSAGE.has(error.code);
    if (batch.length > 1 && mayBeOne) {
      const half = batch.length >> 1;
      await send(backend, batch.slice(0, half));
      return send(backend, batch.slice(half));
    }
    for (const { reject } of batch) reject(error);
    return;
  }
  for (const [index, { resolve, reject }] of batch.entries()) {
    const result = results[index];
    if (result === undefined) reject(new HoldfastError('internal', 'The gateway gave no result for the message'));
    else if ('error' in result) reject(new HoldfastError(result.error.code, result.error.message));
    else resolve(result);
  }
}
