const MAX_ENTRIES = 10_000;
const MAX_SIZE = 16 * 1_024 * 1_024;
/** As long as a signature counts, and as far as clocks may differ. */
const KEPT_MS = 600_000;

interface Entry<T> {
  answer: Promise<T>;
  endsAtMs: number;
  size: number;
}

/** Does what has an id once, and remembers the answer for 10 minutes. What fails is forgotten. */
export class Repeats<T> {
  /** Oldest first. */
  readonly #entries = new Map<string, Entry<T>>();
  readonly #sizeOf: (answer: T) => number;
  #size = 0;

  /** @param sizeOf in bytes or thereabouts; 16 MiB of answers are kept, and 10,000 of them */
  constructor(sizeOf: (answer: T) => number) {
    this.#sizeOf = sizeOf;
  }

  async once(id: string, work: () => Promise<T>): Promise<T> {
    this.#forget(performance.now());
    const known = this.#entries.get(id);
    if (known !== undefined) return known.answer;
    const entry: Entry<T> = { answer: work(), endsAtMs: performance.now() + KEPT_MS, size: 0 };
    this.#entries.set(id, entry);
    try {
      const answer = await entry.answer;
      entry.size = this.#entries.get(id) === entry ? this.#sizeOf(answer) : 0;
      this.#size += entry.size;
      return answer;
    } catch (error) {
      this.#remove(id, entry);
      throw error;
    }
  }

  #forget(nowMs: number): void {
    for (const [id, entry] of this.#entries) {
      const isFull = this.#entries.size >= MAX_ENTRIES || this.#size > MAX_SIZE;
      if (!isFull && entry.endsAtMs > nowMs) return;
      this.#remove(id, entry);
    }
  }

  #remove(id: string, entry: Entry<T>): void {
    if (this.#entries.get(id) !== entry) return;
    this.#entries.delete(id);
    this.#size -= entry.size;
  }
}
