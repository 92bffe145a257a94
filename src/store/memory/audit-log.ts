import type { LoginEvent } from '../../login/ports.js';

/** The newest events of all logins; never fewer than `maxEvents` unless there were no more. */
export class AuditLog {
  readonly #maxEvents: number;
  #events: LoginEvent[] = [];
  #written = 0;

  constructor(maxEvents: number) {
    this.#maxEvents = maxEvents;
  }

  append(event: Omit<LoginEvent, 'id'>): void {
    this.#written += 1;
    this.#events.push({ id: `${event.atMs}-${this.#written}`, ...event });
    // In one go at twice the size, since each drop moves all that stay.
    if (this.#events.length >= 2 * this.#maxEvents) this.#events = this.#events.slice(-this.#maxEvents);
  }

  /** Oldest first. */
  of(handle: string, limit: number): LoginEvent[] {
    return this.#events.filter((event) => event.handle === handle).slice(-limit);
  }
}
