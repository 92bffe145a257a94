import type { HistoryPage } from '../../src/protocol/http.js';
import type { Position } from '../../src/protocol/messages.js';
import { backendCall, historyOf } from '../../test/support/message-calls.js';
import { inParallel } from '../raw-socket.js';
import { claimer, publisher, refresher } from './callers.js';
import type { Said } from './ledger.js';
import { Owner } from './owner.js';
import { Watcher } from './watcher.js';
import type { World } from './world.js';

export interface LoadSize {
  /** Owned ones. */
  sessions: number;
  /** Messages a second of each owner. */
  rate: number;
}

/** Of the owners, one in so many loses its connection all the time. */
const DROPPING = 4;
const FEEDS = 4;
const LOGINS = 3;
const SESSIONS_PER_WATCHER = 100;
/** Each session is followed over so many connections. */
const AUDIENCES = 2;
const WIDTH = 16;
const SETTLE_MS = 20_000;

/** What the store has of a session. */
export interface Stored {
  said: Said[];
  position: Position;
}

/** Owners, watchers, claimers, an application and logins, all at work over the nodes of a cluster. */
export class Load {
  readonly #world: World;
  readonly #owners: Owner[];
  readonly #watchers: Watcher[];
  readonly #feeds: string[];
  readonly #periodMs: number;
  #running: Promise<unknown> = Promise.resolve();

  constructor(world: World, { sessions, rate }: LoadSize) {
    this.#world = world;
    const periodMs = 1_000 / rate;
    this.#periodMs = periodMs;
    this.#owners = Array.from(
      { length: sessions },
      (_, i) => new Owner(world, `owned:${i}`, { periodMs, drops: i % DROPPING === 0 }),
    );
    this.#feeds = Array.from({ length: FEEDS }, (_, i) => `feed:${i}`);
    this.#watchers = [];
    for (let from = 0; from < this.sessions.length; from += SESSIONS_PER_WATCHER) {
      const watched = this.sessions.slice(from, from + SESSIONS_PER_WATCHER);
      for (let audience = 0; audience < AUDIENCES; audience += 1) {
        this.#watchers.push(new Watcher(world, `watcher ${this.#watchers.length + 1}`, watched));
      }
    }
  }

  get sessions(): string[] {
    return [...this.#owners.map(({ session }) => session), ...this.#feeds];
  }

  /** Resolves when everybody is where the load begins: owners own, watchers follow. */
  async start(): Promise<void> {
    await inParallel(this.#owners.length, WIDTH, async (i) => this.#owners[i]?.start());
    await inParallel(this.#watchers.length, WIDTH, async (i) => this.#watchers[i]?.start());
    const claimers = await Promise.all(this.#world.cluster.nodes.map((_, node) => claimer(this.#world, node)));
    const refreshers = await Promise.all(
      Array.from({ length: LOGINS }, (_, i) => refresher(this.#world, `login ${i + 1}`)),
    );
    const publishers = this.#feeds.map((feed) => publisher(this.#world, feed, this.#periodMs));
    const callers = [...claimers, ...refreshers, ...publishers];
    this.#running = Promise.all([...this.#owners.map((owner) => owner.run()), ...callers.map((run) => run())]);
    // Told by `stop`, which waits for it.
    this.#running.catch(() => {});
  }

  /** Everybody ends with the call under way. @throws what a caller threw */
  async stop(): Promise<void> {
    this.#world.stop();
    await this.#running;
  }

  /** What the store has, by session. */
  async stored(): Promise<Map<string, Stored>> {
    const stored = new Map<string, Stored>();
    const { sessions } = this;
    await inParallel(sessions.length, WIDTH, async (i) => {
      const session = sessions[i] ?? '';
      const messages = await historyOf(this.#world.anyNode(), session);
      const page = await backendCall(this.#world.anyNode(), 'GET', `sessions/${session}/history?limit=1`);
      const { position } = (await page.json()) as HistoryPage;
      stored.set(session, { said: messages.map((message) => Reflect.get(message, 'data') as Said), position });
    });
    return stored;
  }

  /** Waits for a while until every watcher stands where the store does. @returns the subscriptions that do not */
  async behind(stored: ReadonlyMap<string, Stored>): Promise<number> {
    const ends = new Map([...stored].map(([session, { position }]) => [session, position]));
    const missing = () => this.#watchers.reduce((sum, watcher) => sum + watcher.count - watcher.standingAt(ends), 0);
    const endMs = performance.now() + SETTLE_MS;
    while (missing() > 0 && performance.now() < endMs) await new Promise((resolve) => setTimeout(resolve, 50));
    return missing();
  }

  close(): void {
    for (const client of [...this.#owners, ...this.#watchers]) client.close();
  }
}
