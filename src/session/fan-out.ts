import { Buffer } from 'node:buffer';
import { microtask } from '../lib/microtask.js';
import { type FrameEncoder, type FramePart, MAX_HEADER_BYTES } from './frame-encoder.js';
import type { Subscriber } from './subscriber.js';

/** Of one write: small enough that a slow consumer is noticed soon, and a busy turn of 200 small messages is one. */
export const MAX_WRITE_BYTES = 131_072;

export interface FanOutOptions {
  frames: Pick<FrameEncoder, 'joined'>;
  /** Unsent bytes beyond which a subscriber gets nothing more. */
  lagBytes: number;
  /** That subscriber is no longer live; `offset` is the last that it was sent. */
  onLagging: (subscriber: Subscriber, offset: number) => void;
  onDelivered: (count: number) => void;
}

/**
 * Writes a session's messages to its live subscribers. What comes within one turn of the event loop is rendered
 * once, into one buffer, and written to each in one call, at the turn's end; nothing waits for a timer. A message that is
 * as alone as the one before it does not wait for the turn's end either.
 */
export class FanOut {
  readonly #options: FanOutOptions;
  /** Of one write: who is not behind has no more than twice `lagBytes` to take after it. */
  readonly #maxBytes: number;
  readonly #live = new Set<Subscriber>();
  #waiting: FramePart[] = [];
  /** Of those that wait, by index. What is not worth it goes plain to those that take compressed frames, too. */
  #compressed: Map<number, Buffer> | undefined;
  #waitingBytes = 0;
  #scheduled = false;
  /** How many came in this turn, and whether it was one alone in the last turn that had any. */
  #inTurn = 0;
  #lone = true;
  /** Of the messages taken, and of those of them that were written. */
  #offset = 0;
  #sent = 0;

  constructor(options: FanOutOptions) {
    this.#options = options;
    this.#maxBytes = Math.min(MAX_WRITE_BYTES, options.lagBytes);
  }

  get live(): ReadonlySet<Subscriber> {
    return this.#live;
  }

  /** From the next message on. */
  add(subscriber: Subscriber): void {
    this.flush();
    this.#live.add(subscriber);
  }

  /** Everything taken so far is written to it first. */
  remove(subscriber: Subscriber): void {
    if (!this.#live.has(subscriber)) return;
    this.flush();
    this.#live.delete(subscriber);
  }

  /** @param offset the stream's, with this message */
  push(plain: FramePart, compressed: Buffer | undefined, offset: number): void {
    const bytes = Buffer.isBuffer(plain) ? plain.length : plain.bytes + MAX_HEADER_BYTES;
    if (this.#waitingBytes + bytes > this.#maxBytes) this.flush();
    this.#offset = offset;
    if (compressed !== undefined) {
      this.#compressed ??= new Map();
      this.#compressed.set(this.#waiting.length, compressed);
    }
    this.#waiting.push(plain);
    this.#waitingBytes += bytes;
    this.#inTurn++;
    if (!this.#scheduled) this.#schedule();
  }

  #schedule(): void {
    this.#scheduled = true;
    if (this.#lone) {
      microtask(() => {
        if (this.#inTurn === 1) this.flush();
      });
    }
    setImmediate(() => {
      this.#lone = this.#inTurn === 1;
      this.#inTurn = 0;
      this.#scheduled = false;
      this.flush();
    });
  }

  /** The stream goes on after `offset`, with nothing to be written in between. */
  moveTo(offset: number): void {
    this.flush();
    this.#offset = offset;
    this.#sent = offset;
  }

  /** Writes what waits. To be called before anything else is sent that must not overtake it. */
  flush(): void {
    if (this.#waiting.length === 0) return;
    const waiting = this.#waiting;
    const compressedOnes = this.#compressed;
    this.#waiting = [];
    this.#compressed = undefined;
    this.#waitingBytes = 0;
    const { frames, lagBytes, onLagging, onDelivered } = this.#options;
    let plain: Buffer | undefined;
    let compressed: Buffer | undefined;
    let written = 0;
    for (const subscriber of this.#live) {
      if (subscriber.queuedBytes > lagBytes) {
        this.#live.delete(subscriber);
        onLagging(subscriber, this.#sent);
        continue;
      }
      if (subscriber.compresses) {
        compressed ??= frames.joined(waiting.map((frame, index) => compressedOnes?.get(index) ?? frame));
        subscriber.sendFrames(compressed);
      } else {
        plain ??= frames.joined(waiting);
        subscriber.sendFrames(plain);
      }
      written++;
    }
    this.#sent = this.#offset;
    onDelivered(written * waiting.length);
  }
}
