import { Buffer } from 'node:buffer';

/** Of one write: who is behind is given little at a time, since it may be slow. */
const MAX_CHUNK_BYTES = 65_536;
/** Of the buffers that are kept for others: those of a while of one reader behind another. */
const MAX_KEPT_BYTES = 524_288;

/** A message as it is written, to those that take compressed frames compressed where that was worth it. */
export interface MessageFrame {
  plain: Buffer;
  compressed: Buffer | undefined;
}

/** Some messages that follow each other, as one write. */
export interface Chunk {
  frames: Buffer;
  count: number;
  /** The offset of its last message. */
  to: number;
}

interface KeptChunk extends Chunk {
  /** The message behind it had no room, so that it stays as it is. */
  isFull: boolean;
}

/** Frames of messages that follow each other without gap. */
export class FrameRun {
  #from: number;
  #bytes = 0;
  #frames: MessageFrame[] = [];
  /** How many at the beginning of `#frames` are dropped. */
  #dropped = 0;
  /** Those who miss the same are written the same buffers, also where they come one after the other. Oldest first. */
  readonly #kept = new Map<number, KeptChunk>();
  #keptBytes = 0;

  /** @param from the offset before the first message */
  constructor(from: number, frames: MessageFrame[] = []) {
    this.#from = from;
    this.#frames = frames;
    for (const frame of frames) this.#bytes += sizeOf(frame);
  }

  /** The offset before the first message. */
  get from(): number {
    return this.#from;
  }

  /** Of the frames. */
  get bytes(): number {
    return this.#bytes;
  }

  /** With what is kept for others. */
  get heldBytes(): number {
    return this.#bytes + this.#keptBytes;
  }

  append(frame: MessageFrame): void {
    this.#frames.push(frame);
    this.#bytes += sizeOf(frame);
  }

  prepend(frames: readonly MessageFrame[]): void {
    this.#frames = [...frames, ...this.#frames.slice(this.#dropped)];
    this.#dropped = 0;
    this.#from -= frames.length;
    for (const frame of frames) this.#bytes += sizeOf(frame);
  }

  dropOldest(): void {
    const oldest = this.#frames[this.#dropped];
    if (oldest === undefined) return;
    for (const compressed of [false, true]) this.#forget(keyOf(this.#from, compressed));
    this.#dropped++;
    this.#from++;
    this.#bytes -= sizeOf(oldest);
    this.#forgetTooMuch();
    // Not at each, which would move all the others each time.
    if (this.#dropped * 2 < this.#frames.length) return;
    this.#frames = this.#frames.slice(this.#dropped);
    this.#dropped = 0;
  }

  /** As many messages after `offset` as one write takes; undefined when they are not here. */
  chunk(offset: number, compressed: boolean): Chunk | undefined {
    const start = offset - this.#from + this.#dropped;
    if (start < this.#dropped || start >= this.#frames.length) return undefined;
    const key = keyOf(offset, compressed);
    const known = this.#kept.get(key);
    if (known?.isFull === true) return known;
    let end = start;
    let bytes = 0;
    do bytes += this.#frames[end++]?.plain.length ?? 0;
    while (end < this.#frames.length && bytes + (this.#frames[end]?.plain.length ?? 0) <= MAX_CHUNK_BYTES);
    const count = end - start;
    if (known?.count === count) return known;
    const frames = concatenated(this.#frames.slice(start, end), compressed);
    const chunk = { frames, count, to: offset + count, isFull: end < this.#frames.length };
    this.#keep(key, chunk);
    return chunk;
  }

  /** Frees what is kept for others. */
  forgetChunks(): void {
    this.#kept.clear();
    this.#keptBytes = 0;
  }

  /** Never more than the frames themselves take. */
  #keep(key: number, chunk: KeptChunk): void {
    this.#forget(key);
    this.#kept.set(key, chunk);
    this.#keptBytes += chunk.frames.length;
    this.#forgetTooMuch();
  }

  #forgetTooMuch(): void {
    for (const oldest of this.#kept.keys()) {
      if (this.#keptBytes <= Math.min(this.#bytes, MAX_KEPT_BYTES)) return;
      this.#forget(oldest);
    }
  }

  #forget(key: number): void {
    this.#keptBytes -= this.#kept.get(key)?.frames.length ?? 0;
    this.#kept.delete(key);
  }
}

function keyOf(offset: number, compressed: boolean): number {
  return offset * 2 + Number(compressed);
}

function concatenated(frames: readonly MessageFrame[], compresses: boolean): Buffer {
  const buffers = frames.map(({ plain, compressed }) => (compresses ? (compressed ?? plain) : plain));
  const [first] = buffers;
  return first !== undefined && buffers.length === 1 ? first : Buffer.concat(buffers);
}

function sizeOf({ plain, compressed }: MessageFrame): number {
  return plain.length + (compressed?.length ?? 0);
}
