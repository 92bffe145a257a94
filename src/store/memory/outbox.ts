import type { Outbox, OutboxBacklog, OutboxEvent } from '../../backend/ports.js';
import type { Clock } from '../../lib/clock.js';
import type { OwnershipEvent } from '../../session/ports.js';
import {
  idleTold,
  MAX_EVENTS,
  MAX_OTHER_EVENTS,
  type NewEvent,
  outboxBusy,
  ownershipTold,
  revocationTold,
} from '../outbox-events.js';
import { storeTime } from './store-time.js';

export interface MemoryOutboxOptions {
  clock: Clock;
  /** After how long without owner and message a session counts as idle; 0: never. */
  sessionIdleMs: number;
}

interface Kept {
  event: OutboxEvent;
  read: boolean;
}

/** Events of one process, all in one partition. What is not delivered when it ends is lost with the rest of the store. */
export class MemoryOutbox implements Outbox {
  readonly partitions = 1;
  readonly #idleMs: number;
  readonly #now: () => number;
  /** By id, oldest first. */
  readonly #events = new Map<string, Kept>();
  #dead = 0;
  #added = 0;
  #lease = { consumer: '', untilMs: 0 };
  /** Session → when it counts as idle, soonest first since all wait for the same time. */
  readonly #idle = new Map<string, number>();
  readonly #taken = new Set<string>();

  constructor({ clock, sessionIdleMs }: MemoryOutboxOptions) {
    const time = storeTime(clock);
    this.#now = () => time().ms;
    this.#idleMs = sessionIdleMs;
  }

  /** For the ownership store, which gives it every event that it publishes. */
  readonly sessions = {
    add: (event: OwnershipEvent): void => {
      this.#append(ownershipTold(event));
      if (this.#idleMs === 0) return;
      this.#idle.delete(event.sessionId);
      if (event.state !== 'free') {
        this.#taken.add(event.sessionId);
        return;
      }
      this.#taken.delete(event.sessionId);
      this.#idle.set(event.sessionId, event.nowMs + this.#idleMs);
    },
  };

  /** For the message store: something was published in the session. */
  published(sessionId: string): void {
    if (this.#idleMs === 0 || this.#taken.has(sessionId)) return;
    this.#idle.delete(sessionId);
    this.#idle.set(sessionId, this.#now() + this.#idleMs);
  }

  /** For the login store: a login has ended before its time. */
  revoked(handle: string, principal: string, reason: string): void {
    this.#append(revocationTold(handle, principal, reason));
  }

  async join(_consumer: string, ttlMs: number): Promise<number> {
    return ttlMs === 0 ? 0 : 1;
  }

  async acquire(_partition: number, consumer: string, ttlMs: number): Promise<boolean> {
    const nowMs = this.#now();
    if (this.#lease.untilMs > nowMs && this.#lease.consumer !== consumer) return false;
    this.#lease = { consumer, untilMs: nowMs + ttlMs };
    return true;
  }

  async release(_partition: number, consumer: string): Promise<void> {
    if (this.#lease.consumer === consumer) this.#lease = { consumer: '', untilMs: 0 };
  }

  async read(_partition: number, consumer: string, limit: number, known: boolean): Promise<OutboxEvent[]> {
    if (this.#lease.consumer !== consumer || this.#lease.untilMs <= this.#now()) return [];
    this.#tellIdle();
    const events: OutboxEvent[] = [];
    for (const kept of this.#events.values()) {
      if (events.length === limit) break;
      if (known && kept.read) continue;
      kept.read = true;
      events.push({ ...kept.event });
    }
    return events;
  }

  async done(_partition: number, eventIds: readonly string[]): Promise<void> {
    for (const id of eventIds) this.#events.delete(id);
  }

  async failed(_partition: number, eventId: string): Promise<number> {
    const kept = this.#events.get(eventId);
    if (kept === undefined) return 0;
    kept.event.attempts += 1;
    return kept.event.attempts;
  }

  /** Dead letters are counted and not kept: here is nobody who could read them. */
  async bury(_partition: number, event: OutboxEvent): Promise<void> {
    if (this.#events.delete(event.id)) this.#dead += 1;
  }

  async add(event: NewEvent): Promise<void> {
    if (this.#events.size >= MAX_OTHER_EVENTS) throw outboxBusy();
    this.#append(event);
  }

  async backlog(): Promise<OutboxBacklog> {
    return { waiting: this.#events.size, fullest: this.#events.size, dead: this.#dead };
  }

  #append(event: NewEvent): void {
    const atMs = this.#now();
    this.#added += 1;
    const id = `0-${atMs}-${this.#added}`;
    this.#events.set(id, { event: { id, ...event, atMs, attempts: 0 }, read: false });
    if (this.#events.size <= MAX_EVENTS) return;
    const [oldest] = this.#events.keys();
    if (oldest !== undefined) this.#events.delete(oldest);
  }

  #tellIdle(): void {
    const nowMs = this.#now();
    for (const [sessionId, atMs] of this.#idle) {
      if (atMs > nowMs) return;
      this.#idle.delete(sessionId);
      this.#append(idleTold(sessionId));
    }
  }
}
