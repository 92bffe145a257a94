import { eventBody } from './event-body.js';
import type { OutboxEvent } from './ports.js';

/** The events of one session or login that a node has in hand, oldest first; only the first is ever under way. */
export interface Line {
  readonly hand: Hand;
  readonly subject: string;
  readonly events: { event: OutboxEvent; body: string }[];
  /** The first was delivered, but the store could not be told. */
  delivered: boolean;
}

/** One partition, and what was read of it and is not finished. */
export class Hand {
  readonly partition: number;
  /** Until when the partition is certainly this node's, monotonic. */
  leaseUntilMs: number;
  /** Whether what others had left unfinished was read. */
  known = false;
  /** The partition was given up. */
  dropped = false;
  /** The store was told so. */
  released = false;
  /** Deliveries under way. */
  running = 0;
  size = 0;
  bytes = 0;
  readonly #lines = new Map<string, Line>();

  constructor(partition: number, leaseUntilMs: number) {
    this.partition = partition;
    this.leaseUntilMs = leaseUntilMs;
  }

  /** @returns the lines that were empty and are no longer */
  add(events: readonly OutboxEvent[]): Line[] {
    const begun: Line[] = [];
    for (const event of events) {
      const body = eventBody(event);
      let line = this.#lines.get(event.subject);
      if (line === undefined) {
        line = { hand: this, subject: event.subject, events: [], delivered: false };
        this.#lines.set(event.subject, line);
        begun.push(line);
      }
      line.events.push({ event, body });
      this.size += 1;
      this.bytes += body.length;
    }
    return begun;
  }

  /** Removes the first event of the line. @returns whether there is another */
  finish(line: Line): boolean {
    const finished = line.events.shift();
    line.delivered = false;
    this.size -= 1;
    this.bytes -= finished?.body.length ?? 0;
    if (line.events.length > 0) return true;
    this.#lines.delete(line.subject);
    return false;
  }
}
