import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import { roughlyMs } from '../lib/backoff.js';
import type { Log } from '../lib/log.js';
import type { PresenceMessage } from '../protocol/messages.js';
import type { PresenceEntry, PresenceEvent, PresenceStore } from './presence-ports.js';
import { type LocalMember, PresenceRoom } from './presence-room.js';
import type { Subscriber } from './subscriber.js';

/** What presence needs of its node. */
export interface PresenceNode {
  readonly deps: {
    readonly presence: PresenceStore;
    readonly log: Log;
    readonly settingsOf: (sessionId: string) => { presence: boolean; exposePrincipals: boolean };
  };
  readonly hub: {
    /** Sends to the session's local subscribers that `to` accepts, after what was sent to them before. */
    broadcast(sessionId: string, message: PresenceMessage, to: (subscriber: Subscriber) => boolean): void;
  };
}

/** A third of how long an entry lasts in the store. */
const RENEW_EVERY_MS = 30_000;
/** Entries that one pass enters, and that it renews: in between, departures have their turn. */
const CHUNK = 500;
const RETRY_MS = 250;
const MAX_FAILURES = 240;

interface Departure {
  entry: PresenceEntry;
  graceMs: number;
}

/**
 * Which connections of this node are in which sessions, told to the store and to them. What the store is to know goes
 * to it in passes, one at a time, so that no late entry or renewal overtakes a departure, and again while the store is
 * away. Nothing here fails a subscription.
 */
export class PresenceHere {
  readonly #node: PresenceNode;
  readonly #renewEveryMs: number;
  readonly #rooms = new Map<string, PresenceRoom>();
  /** Who is to be entered and to be told who is there. */
  readonly #waiting = new Set<LocalMember>();
  /** By `keyOf`. */
  readonly #departures = new Map<string, Departure>();
  #renewals: LocalMember[] = [];
  /** What the store was asked before a gap in the events says nothing about what they were. */
  #gaps = 0;
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;

  constructor(node: PresenceNode, renewEveryMs = RENEW_EVERY_MS) {
    this.#node = node;
    this.#renewEveryMs = renewEveryMs;
  }

  /** The subscription was acknowledged. With the principal that the connection has now; it keeps it in this session. */
  entered(subscriber: Subscriber, sessionId: string): void {
    const { presence, exposePrincipals } = this.#node.deps.settingsOf(sessionId);
    // What closed while it was acknowledged has left already.
    if (!presence || !subscriber.open) return;
    let room = this.#rooms.get(sessionId);
    if (room === undefined) {
      room = new PresenceRoom(sessionId, exposePrincipals);
      this.#rooms.set(sessionId, room);
    }
    this.#waiting.add(room.add(subscriber));
    this.#run();
  }

  /** The subscription is over. Its principal has left when nothing else of it has come within `graceMs`. */
  left(subscriber: Subscriber, sessionId: string, graceMs: number): void {
    const room = this.#rooms.get(sessionId);
    const member = room?.remove(subscriber);
    if (room === undefined || member === undefined) return;
    if (room.size === 0) this.#rooms.delete(sessionId);
    this.#waiting.delete(member);
    this.#departures.set(keyOf(member.entry), { entry: member.entry, graceMs });
    this.#run();
  }

  /** An event from the bus. */
  deliver(event: PresenceEvent): void {
    const news = this.#rooms.get(event.sessionId)?.take(event);
    if (news !== undefined) this.#node.hub.broadcast(event.sessionId, news.message, news.to);
  }

  /** Events may have been missed: all connections are entered again, should the store have lost them, and told anew. */
  afterGap(): void {
    this.#gaps++;
    for (const room of this.#rooms.values()) {
      room.doubt();
      for (const member of room.members()) this.#waiting.add(member);
    }
    this.#run();
  }

  start(): void {
    this.#timer = setTimeout(() => {
      this.#renewals = [];
      for (const room of this.#rooms.values()) {
        for (const member of room.members()) this.#renewals.push(member);
      }
      this.#run();
      this.start();
    }, roughlyMs(this.#renewEveryMs)).unref();
  }

  /** Stops the renewals. Resolves when the store knows who is gone, or that was given up. */
  async stop(): Promise<void> {
    clearTimeout(this.#timer);
    this.#waiting.clear();
    this.#renewals = [];
    await this.#running;
  }

  #run(): void {
    this.#running ??= this.#passes().finally(() => {
      this.#running = undefined;
    });
  }

  async #passes(): Promise<void> {
    let failures = 0;
    while (this.#departures.size + this.#waiting.size + this.#renewals.length > 0 && failures < MAX_FAILURES) {
      await (failures === 0 ? nextTurn() : sleep(RETRY_MS));
      const departed = await this.#writeDepartures();
      const entered = await this.#enterSome();
      await this.#renewSome();
      failures = departed && entered ? 0 : failures + 1;
      if (failures === 1) this.#node.deps.log.warn({ waiting: this.#waiting.size }, 'presence not written yet');
    }
    // Entries that nobody renews end by themselves. Who still waits is entered with the next renewal.
    if (this.#departures.size > 0)
      this.#node.deps.log.error({ entries: this.#departures.size }, 'gave up; the entries end by themselves');
    this.#departures.clear();
  }

  /** @returns whether all were written */
  async #writeDepartures(): Promise<boolean> {
    const byGrace = new Map<number, Departure[]>();
    for (const departure of this.#departures.values()) {
      const group = byGrace.get(departure.graceMs);
      if (group === undefined) byGrace.set(departure.graceMs, [departure]);
      else group.push(departure);
    }
    const written = await Promise.all(
      Array.from(byGrace, async ([graceMs, group]) => {
        const entries = group.map(({ entry }) => entry);
        if (!(await succeeds(this.#node.deps.presence.leave(entries, graceMs)))) return false;
        for (const departure of group) {
          const key = keyOf(departure.entry);
          if (this.#departures.get(key) === departure) this.#departures.delete(key);
        }
        return true;
      }),
    );
    return written.every(Boolean);
  }

  /** @returns whether all were entered that were tried */
  async #enterSome(): Promise<boolean> {
    const bySession = new Map<string, LocalMember[]>();
    let taken = 0;
    for (const member of this.#waiting) {
      if (taken === CHUNK) break;
      // Its connection has left this session before, which the store is to know first.
      if (this.#departures.has(keyOf(member.entry))) continue;
      taken++;
      const group = bySession.get(member.entry.sessionId);
      if (group === undefined) bySession.set(member.entry.sessionId, [member]);
      else group.push(member);
    }
    const entered = await Promise.all(Array.from(bySession.values(), (members) => this.#enter(members)));
    return entered.every(Boolean);
  }

  /** Enters members of one session; who is there is asked for once, for all of them. */
  async #enter(members: readonly LocalMember[]): Promise<boolean> {
    const { presence: store } = this.#node.deps;
    const gaps = this.#gaps;
    const [first, ...others] = members.map(({ entry }) => entry);
    if (first === undefined) return true;
    try {
      if (others.length > 0) await store.renew(others);
      const presence = await store.join(first);
      if (gaps !== this.#gaps) return true;
      for (const member of members) {
        if (!this.#waiting.has(member)) continue;
        if (this.#rooms.get(first.sessionId)?.tell(member, presence) === true) this.#waiting.delete(member);
      }
      return true;
    } catch {
      // Behind the others, whose part of the store may be there.
      for (const member of members) if (this.#waiting.delete(member)) this.#waiting.add(member);
      return false;
    }
  }

  /** What fails is renewed the next time: an entry outlasts two that are missed. */
  async #renewSome(): Promise<void> {
    const chunk = this.#renewals.splice(0, CHUNK);
    const here = chunk.filter((member) => this.#rooms.get(member.entry.sessionId)?.has(member) === true);
    if (here.length === 0) return;
    if (await succeeds(this.#node.deps.presence.renew(here.map(({ entry }) => entry)))) return;
    this.#node.deps.log.warn({ entries: here.length }, 'presence not renewed');
  }
}

function keyOf({ sessionId, connectionId }: PresenceEntry): string {
  return `${sessionId} ${connectionId}`;
}

async function succeeds(call: Promise<void>): Promise<boolean> {
  try {
    await call;
    return true;
  } catch {
    return false;
  }
}
