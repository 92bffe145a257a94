import { EMPTY_RECORD, type SessionRecord } from '../../session/record.js';

/** The sessions' records. Free ones are kept apart, in the order in which they became free, and dropped from there. */
export class Records {
  readonly #taken = new Map<string, SessionRecord>();
  readonly #free = new Map<string, SessionRecord>();

  get(sessionId: string): SessionRecord {
    return this.#taken.get(sessionId) ?? this.#free.get(sessionId) ?? EMPTY_RECORD;
  }

  set(sessionId: string, record: SessionRecord): void {
    if (record.state === 'free') {
      this.#taken.delete(sessionId);
      this.#free.delete(sessionId);
      this.#free.set(sessionId, record);
    } else {
      this.#free.delete(sessionId);
      this.#taken.set(sessionId, record);
    }
  }

  /** Owned and held sessions. Records may be set while this is walked. */
  taken(): Iterable<[string, SessionRecord]> {
    return this.#taken;
  }

  /** Drops what became free at `untilMs` or earlier. */
  dropFreed(untilMs: number): void {
    for (const [sessionId, record] of this.#free) {
      if (record.freedAtMs > untilMs) return;
      this.#free.delete(sessionId);
    }
  }
}
