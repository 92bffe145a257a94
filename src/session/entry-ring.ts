import { Buffer } from 'node:buffer';

export interface StoredEntry {
  atMs: number;
  /** Text takes less memory than a small buffer does. */
  tail: string;
  /** The tail's, UTF-8. */
  bytes: number;
}

const MIN_SLOTS = 4;

/**
 * A queue of a history's entries, in a ring of slots that are used again. With an object for each entry, V8 learns that
 * they live long and makes them in its old generation; there, entries that are gone keep their text until the next full
 * collection, and every young one copies it.
 */
export class EntryRing {
  /** As many as a power of two. */
  #slots: StoredEntry[] = [];
  #head = 0;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** The entry at `index` from the oldest on. It is another one when the oldest is dropped. */
  at(index: number): Readonly<StoredEntry> | undefined {
    return index >= 0 && index < this.#length ? this.#slot(index) : undefined;
  }

  push(atMs: number, tail: string, bytes: number): void {
    if (this.#length === this.#slots.length) this.#grow();
    const slot = this.#slot(this.#length);
    if (slot === undefined) return;
    slot.atMs = atMs;
    slot.tail = flat(tail);
    slot.bytes = bytes;
    this.#length += 1;
  }

  /** @returns the bytes of the entry that was dropped */
  dropOldest(): number {
    const slot = this.at(0);
    if (slot === undefined) return 0;
    const { bytes } = slot;
    this.#length -= 1;
    if (this.#length === 0) {
      this.#slots = [];
    } else {
      (slot as StoredEntry).tail = '';
      this.#head = (this.#head + 1) & (this.#slots.length - 1);
    }
    return bytes;
  }

  #slot(index: number): StoredEntry | undefined {
    return this.#slots[(this.#head + index) & (this.#slots.length - 1)];
  }

  #grow(): void {
    const inOrder = [...this.#slots.slice(this.#head), ...this.#slots.slice(0, this.#head)];
    const count = Math.max(MIN_SLOTS, inOrder.length * 2);
    while (inOrder.length < count) inOrder.push({ atMs: 0, tail: '', bytes: 0 });
    this.#slots = inOrder;
    this.#head = 0;
  }
}

/**
 * The same text in one piece: a part of a frame that was put together with others would keep the whole frame. V8 has no
 * other name for it; counting bytes joins the pieces.
 */
function flat(text: string): string {
  Buffer.byteLength(text);
  return text;
}
