import type { Clock } from '../../lib/clock.js';
import type {
  Presence,
  PresenceEntry,
  PresenceEvent,
  PresenceStore,
  PresenceTimings,
} from '../../session/presence-ports.js';
import { storeTime } from './store-time.js';

const MAX_MEMBERS = 1_000;

export interface MemoryPresenceStoreOptions {
  clock: Clock;
  timings: PresenceTimings;
  bus: { publish(event: PresenceEvent): Promise<void> };
}

/** Who is in one session. */
interface Room {
  rev: number;
  connections: Map<string, { principal: string; endsMs: number }>;
  /** How many connections each has. */
  principals: Map<string, number>;
}

/** Presence within one process. Each verb is synchronous, which makes it atomic. */
export class MemoryPresenceStore implements PresenceStore {
  readonly partitions = 1;
  readonly #options: MemoryPresenceStoreOptions;
  readonly #now: ReturnType<typeof storeTime>;
  readonly #rooms = new Map<string, Room>();
  #sweptAtMs: number | undefined;
  #gapAtMs = Number.NEGATIVE_INFINITY;

  constructor(options: MemoryPresenceStoreOptions) {
    this.#options = options;
    this.#now = storeTime(options.clock);
  }

  async join(entry: PresenceEntry): Promise<Presence> {
    this.#enter(entry);
    return this.#present(entry.sessionId);
  }

  async read(sessionId: string): Promise<Presence> {
    return this.#present(sessionId);
  }

  async renew(entries: readonly PresenceEntry[]): Promise<void> {
    for (const entry of entries) this.#enter(entry);
  }

  async leave(entries: readonly PresenceEntry[], graceMs: number): Promise<void> {
    const endsMs = this.#now().ms + graceMs;
    for (const { sessionId, connectionId } of entries) {
      const room = this.#rooms.get(sessionId);
      const connection = room?.connections.get(connectionId);
      if (room === undefined || connection === undefined) continue;
      if (graceMs > 0) connection.endsMs = endsMs;
      else this.#end(sessionId, room, connectionId, connection.principal);
    }
  }

  async sweep(_partition: number, limit: number): Promise<{ ended: number; more: boolean }> {
    const nowMs = this.#now().ms;
    let ended = 0;
    if (this.#isGuarded(nowMs)) return { ended, more: false };
    for (const [sessionId, room] of this.#rooms) {
      for (const [connectionId, { principal, endsMs }] of room.connections) {
        if (endsMs > nowMs) continue;
        if (ended === limit) return { ended, more: true };
        this.#end(sessionId, room, connectionId, principal);
        ended++;
      }
    }
    return { ended, more: false };
  }

  /** A node that was stopped could not renew: for a while after that nothing ends. */
  #isGuarded(nowMs: number): boolean {
    const patienceMs = this.#options.timings.presenceTtlMs / 2;
    if (this.#sweptAtMs !== undefined && nowMs - this.#sweptAtMs > patienceMs) this.#gapAtMs = nowMs;
    this.#sweptAtMs = nowMs;
    return nowMs - this.#gapAtMs < patienceMs;
  }

  #enter({ sessionId, connectionId, principal }: PresenceEntry): void {
    let room = this.#rooms.get(sessionId);
    if (room === undefined) {
      room = { rev: 0, connections: new Map(), principals: new Map() };
      this.#rooms.set(sessionId, room);
    }
    const endsMs = this.#now().ms + this.#options.timings.presenceTtlMs;
    const entered = room.connections.get(connectionId);
    if (entered !== undefined) {
      entered.endsMs = endsMs;
      return;
    }
    room.connections.set(connectionId, { principal, endsMs });
    const before = room.principals.get(principal) ?? 0;
    room.principals.set(principal, before + 1);
    if (before === 0) this.#tell('joined', sessionId, room, principal);
  }

  #end(sessionId: string, room: Room, connectionId: string, principal: string): void {
    room.connections.delete(connectionId);
    const left = (room.principals.get(principal) ?? 1) - 1;
    if (left > 0) {
      room.principals.set(principal, left);
      return;
    }
    room.principals.delete(principal);
    this.#tell('left', sessionId, room, principal);
    // The rev goes on from the time.
    if (room.connections.size === 0) this.#rooms.delete(sessionId);
  }

  #tell(event: PresenceEvent['event'], sessionId: string, room: Room, principal: string): void {
    room.rev = Math.max(room.rev + 1, this.#now().us);
    const { rev } = room;
    void this.#options.bus.publish({
      kind: 'presence',
      sessionId,
      event,
      principal,
      rev,
      count: room.principals.size,
    });
  }

  #present(sessionId: string): Presence {
    const room = this.#rooms.get(sessionId);
    if (room === undefined) return { rev: 0, count: 0, members: [] };
    const members: Presence['members'] = [];
    for (const [principal, connections] of room.principals) {
      if (members.length === MAX_MEMBERS) break;
      members.push({ principal, connections });
    }
    return { rev: room.rev, count: room.principals.size, members };
  }
}
