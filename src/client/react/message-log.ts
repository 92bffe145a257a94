import type { Message, Session } from '../index.js';
import { onNextFrame } from './frame.js';

export const DEFAULT_LIMIT = 200;

const NONE: readonly Message[] = [];

/** The last messages of one session, published once a frame however many came. */
export class MessageLog {
  readonly #session: Session;
  readonly #listeners = new Set<() => void>();
  #limit = DEFAULT_LIMIT;
  #followers = 0;
  #unlisten: (() => void) | undefined;
  #callOff: (() => void) | undefined;
  #messages = NONE;
  /** Not published yet, in no more memory than what is. */
  #pending: Message[] = [];

  constructor(session: Session) {
    this.#session = session;
  }

  /** The same array until there are others. */
  get messages(): readonly Message[] {
    return this.#messages;
  }

  /** Keeps messages from now on. @returns what ends that; the last to end it drops them */
  follow(): () => void {
    if (this.#followers++ === 0) this.#unlisten = this.#session.on('message', (message) => this.#add(message));
    return () => {
      if (--this.#followers > 0) return;
      this.#unlisten?.();
      this.#messages = NONE;
      this.#pending = [];
    };
  }

  /** @param limit how many to keep; the largest one that was ever asked for counts */
  subscribe(limit: number, changed: () => void): () => void {
    const unfollow = this.follow();
    this.#limit = Math.max(this.#limit, limit);
    this.#listeners.add(changed);
    this.#publish();
    return () => {
      this.#listeners.delete(changed);
      if (this.#listeners.size === 0) this.#cancel();
      unfollow();
    };
  }

  #add(message: Message): void {
    this.#pending.push(message);
    if (this.#pending.length >= 2 * this.#limit) this.#pending = lastOf(this.#pending, this.#limit);
    if (this.#listeners.size > 0) this.#callOff ??= onNextFrame(() => this.#publish());
  }

  #publish(): void {
    this.#cancel();
    if (this.#pending.length === 0) return;
    this.#messages = lastOf([...this.#messages, ...this.#pending], this.#limit);
    this.#pending = [];
    for (const changed of Array.from(this.#listeners)) changed();
  }

  #cancel(): void {
    this.#callOff?.();
    this.#callOff = undefined;
  }
}

/** The array itself when it is short enough. */
export function lastOf<A extends readonly unknown[]>(items: A, limit: number): A {
  return items.length <= limit ? items : (items.slice(items.length - limit) as unknown as A);
}

const OF_SESSION = new WeakMap<Session, MessageLog>();

export function logOf(session: Session): MessageLog {
  let log = OF_SESSION.get(session);
  if (log === undefined) OF_SESSION.set(session, (log = new MessageLog(session)));
  return log;
}
