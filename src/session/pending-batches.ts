import type { MessageBatch } from './message-ports.js';

const MAX_MESSAGES = 512;
const MAX_BYTES = 1_048_576;

/** A batch from its message `from` on. */
export interface PendingBatch {
  batch: MessageBatch;
  from: number;
}

/** What arrives while a stream cannot take it. Bounded: what is too much is dropped and must be read again. */
export class PendingBatches {
  #batches: PendingBatch[] = [];
  #messages = 0;
  #bytes = 0;
  #overflowed = false;

  get length(): number {
    return this.#batches.length;
  }

  add(batch: MessageBatch, from: number): void {
    this.#messages += batch.messages.length - from;
    for (let index = from; index < batch.messages.length; index++) {
      this.#bytes += batch.messages[index]?.bytes ?? 0;
    }
    // Once something is missing, what comes behind it is of no use.
    this.#overflowed ||= this.#messages > MAX_MESSAGES || this.#bytes > MAX_BYTES;
    if (!this.#overflowed) this.#batches.push({ batch, from });
  }

  /** Empties it. `overflowed`: something that came later is missing. */
  take(): { batches: PendingBatch[]; overflowed: boolean } {
    const taken = { batches: this.#batches, overflowed: this.#overflowed };
    this.#batches = [];
    this.#messages = 0;
    this.#bytes = 0;
    this.#overflowed = false;
    return taken;
  }
}
