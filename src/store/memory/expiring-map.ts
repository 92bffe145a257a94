interface Entry<V> {
  value: V;
  untilMs: number;
}

/**
 * Values that end. Those whose time is over are dropped from the front at each write: exactly where all live equally
 * long, at the latest with the one before them otherwise.
 */
export class ExpiringMap<V> {
  readonly #now: () => number;
  readonly #entries = new Map<string, Entry<V>>();

  /** @param now any time in ms that never goes back */
  constructor(now: () => number) {
    this.#now = now;
  }

  set(key: string, value: V, ttlMs: number): void {
    const nowMs = this.#now();
    for (const [other, { untilMs }] of this.#entries) {
      if (untilMs > nowMs) break;
      this.#entries.delete(other);
    }
    this.#entries.delete(key);
    this.#entries.set(key, { value, untilMs: nowMs + ttlMs });
  }

  get(key: string): V | undefined {
    const entry = this.#entries.get(key);
    return entry !== undefined && entry.untilMs > this.#now() ? entry.value : undefined;
  }

  /** How long the value stays; 0 for none. */
  leftMs(key: string): number {
    const entry = this.#entries.get(key);
    return entry === undefined ? 0 : Math.max(0, entry.untilMs - this.#now());
  }

  delete(key: string): void {
    this.#entries.delete(key);
  }
}
