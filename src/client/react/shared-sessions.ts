import type { Client, Session, SessionOptions } from '../index.js';
import { logOf } from './message-log.js';

/** Components that come and go with a route, and StrictMode, find the session as they left it. */
const LINGER_MS = 1_000;

export interface UseSessionOptions extends SessionOptions {
  /** Stays subscribed when the last component that names the session is gone. Default: false. */
  keep?: boolean;
}

/** Why there is no session. */
export class Failure {
  readonly error: unknown;

  constructor(error: unknown) {
    this.error = error;
  }
}

/**
 * One session for all components that name its id. Subscribed with the first, a microtask later: effects of children
 * run before their parents', and whichever brings options decides. Unsubscribed a while after the last.
 */
class SharedSession {
  readonly #id: string;
  readonly #client: Client;
  readonly #forget: () => void;
  readonly #holders = new Set<() => void>();
  #current: Session | Failure | undefined;
  #options: SessionOptions | undefined;
  #isKept = false;
  /** To be made in a moment, or when the one before is given up. */
  #isPending = false;
  #leaving: ReturnType<typeof setTimeout> | undefined;
  #unlisten: (() => void)[] = [];

  constructor(id: string, client: Client, forget: () => void) {
    this.#id = id;
    this.#client = client;
    this.#forget = forget;
  }

  get current(): Session | Failure | undefined {
    return this.#current;
  }

  hold(options: UseSessionOptions | undefined, changed: () => void): () => void {
    clearTimeout(this.#leaving);
    this.#holders.add(changed);
    if (options !== undefined) {
      const { keep = false, ...rest } = options;
      this.#isKept ||= keep;
      this.#options ??= rest;
    }
    if (this.#current === undefined && !this.#isPending) {
      this.#isPending = true;
      queueMicrotask(() => this.#make());
    }
    return () => {
      this.#holders.delete(changed);
      if (this.#holders.size === 0) this.#left();
    };
  }

  #make(): void {
    this.#isPending = false;
    if (this.#holders.size === 0) return this.#forget();
    if (this.#client.connection.name === 'stopped') return;
    try {
      const session = this.#client.session(this.#id, this.#options);
      this.#unlisten = [logOf(session).follow(), session.on('state', () => this.#onState(session))];
      this.#current = session;
    } catch (error) {
      this.#current = new Failure(error);
    }
    for (const changed of Array.from(this.#holders)) changed();
  }

  #onState({ state }: Session): void {
    if (state.name === 'stopped' && this.#holders.size === 0) this.#end();
  }

  /** By its last component. */
  #left(): void {
    const session = this.#current;
    if (session === undefined && this.#isPending) return;
    if (session === undefined || session instanceof Failure || session.state.name === 'stopped') return this.#end();
    if (this.#isKept) return;
    this.#leaving = setTimeout(() => {
      this.#drop();
      // Until then the client would give this one again.
      this.#isPending = true;
      void session.unsubscribe().finally(() => this.#make());
    }, LINGER_MS);
  }

  #end(): void {
    this.#drop();
    this.#forget();
  }

  #drop(): void {
    clearTimeout(this.#leaving);
    for (const unlisten of this.#unlisten.splice(0)) unlisten();
    this.#current = undefined;
    this.#options = undefined;
  }
}

/** The sessions that the components of one client name. */
export class SharedSessions {
  readonly #client: Client;
  readonly #sessions = new Map<string, SharedSession>();

  constructor(client: Client) {
    this.#client = client;
  }

  current(id: string): Session | Failure | undefined {
    return this.#sessions.get(id)?.current;
  }

  /** @returns what lets go of it */
  hold(id: string, options: UseSessionOptions | undefined, changed: () => void): () => void {
    let session = this.#sessions.get(id);
    if (session === undefined) {
      session = new SharedSession(id, this.#client, () => void this.#sessions.delete(id));
      this.#sessions.set(id, session);
    }
    return session.hold(options, changed);
  }
}

const OF_CLIENT = new WeakMap<Client, SharedSessions>();

/** However many providers there are for the client. */
export function sharedSessionsOf(client: Client): SharedSessions {
  let sessions = OF_CLIENT.get(client);
  if (sessions === undefined) OF_CLIENT.set(client, (sessions = new SharedSessions(client)));
  return sessions;
}
