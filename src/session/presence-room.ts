import type { PresenceMember, PresenceMessage } from '../protocol/messages.js';
import type { Presence, PresenceEntry, PresenceEvent } from './presence-ports.js';
import type { Subscriber } from './subscriber.js';

/** A connection of this node that is in the session. */
export interface LocalMember {
  readonly subscriber: Subscriber;
  /** Under the principal with which it came. */
  readonly entry: PresenceEntry;
  /** The rev up to which it knows who is there. */
  knownRev: number;
}

/** Events kept for members that wait to be told who is there. */
const MAX_RECENT = 1_000;

/**
 * What the local members of one session know of who is there. Each is told that first, and then each change after it
 * once, whichever way answers and events overtake each other.
 */
export class PresenceRoom {
  readonly #sessionId: string;
  readonly #showsPrincipals: boolean;
  readonly #members = new Map<Subscriber, LocalMember>();
  /** Those that are not told of changes, because they wait to be told who is there. */
  readonly #untold = new Set<LocalMember>();
  /** Of the newest event. */
  #rev = 0;
  /** What the untold have not been sent, oldest first. */
  #recent: PresenceEvent[] = [];
  /** Of the newest event that found no place there. */
  #forgottenRev = 0;

  constructor(sessionId: string, showsPrincipals: boolean) {
    this.#sessionId = sessionId;
    this.#showsPrincipals = showsPrincipals;
  }

  get size(): number {
    return this.#members.size;
  }

  members(): Iterable<LocalMember> {
    return this.#members.values();
  }

  has(member: LocalMember): boolean {
    return this.#members.get(member.subscriber) === member;
  }

  /** Waits from now on to be told who is there. */
  add(subscriber: Subscriber): LocalMember {
    const { id: connectionId, principal } = subscriber;
    const entry = { sessionId: this.#sessionId, connectionId, principal };
    const member = { subscriber, entry, knownRev: -1 };
    this.#members.set(subscriber, member);
    this.#untold.add(member);
    return member;
  }

  remove(subscriber: Subscriber): LocalMember | undefined {
    const member = this.#members.get(subscriber);
    if (member === undefined) return undefined;
    this.#members.delete(subscriber);
    this.#settle(member);
    return member;
  }

  /** Events may have been missed: everybody waits again to be told who is there. */
  doubt(): void {
    for (const member of this.#members.values()) {
      if (!this.#untold.has(member)) member.knownRev = Math.max(member.knownRev, this.#rev);
      this.#untold.add(member);
    }
  }

  /** @returns what there is to tell, and to whom; undefined for an event that is not news */
  take(event: PresenceEvent): { message: PresenceMessage; to: (subscriber: Subscriber) => boolean } | undefined {
    if (event.rev <= this.#rev) return undefined;
    this.#rev = event.rev;
    if (this.#untold.size > 0 && this.#recent.push(event) > MAX_RECENT) {
      this.#forgottenRev = this.#recent.shift()?.rev ?? 0;
    }
    const to = (subscriber: Subscriber) => {
      const member = this.#members.get(subscriber);
      return member !== undefined && member.knownRev < event.rev && !this.#untold.has(member);
    };
    return { message: this.#changeOf(event), to };
  }

  /**
   * Tells the member who is there, unless it knows, and what changed since.
   * @returns false when that is too old to go on from: it must be read again
   */
  tell(member: LocalMember, presence: Presence): boolean {
    if (presence.rev < this.#forgottenRev) return false;
    if (presence.rev > member.knownRev) {
      member.subscriber.send(this.#messageOf('present', presence, presence.members));
      member.knownRev = presence.rev;
    }
    for (const event of this.#recent) {
      if (event.rev > member.knownRev) member.subscriber.send(this.#changeOf(event));
    }
    member.knownRev = Math.max(member.knownRev, this.#rev);
    this.#settle(member);
    return true;
  }

  #settle(member: LocalMember): void {
    this.#untold.delete(member);
    if (this.#untold.size > 0) return;
    this.#recent = [];
    this.#forgottenRev = 0;
  }

  #changeOf(event: PresenceEvent): PresenceMessage {
    const connections = event.event === 'joined' ? 1 : 0;
    return this.#messageOf(event.event, event, [{ principal: event.principal, connections }]);
  }

  #messageOf(
    event: PresenceMessage['event'],
    { rev, count }: { rev: number; count: number },
    members: PresenceMember[],
  ): PresenceMessage {
    const who = this.#showsPrincipals ? { members } : {};
    return { type: 'presence', session_id: this.#sessionId, event, rev, count, ...who };
  }
}
