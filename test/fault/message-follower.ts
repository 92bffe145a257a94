import { setTimeout as sleep } from 'node:timers/promises';
import type { Position, Subscription } from '../../src/protocol/messages.js';
import { messagesOf, positionOf } from '../support/message-calls.js';
import { RawClient, type Reply } from '../support/raw-client.js';

/** How often it asks for the position where it stopped, and not for some other. */
const RESUMES = 0.7;

function anyUpTo(limit: number): number {
  return Math.floor(Math.random() * limit);
}

/**
 * Watches one session through connections that end all the time, by themselves or by what the test breaks. It comes back
 * on any node, mostly where it stopped, and sometimes reads nothing for a while.
 */
export class MessageFollower {
  readonly connections: RawClient[] = [];
  /** What no checker of single connections sees. */
  readonly violations: string[] = [];
  readonly sessionId: string;
  readonly #anyNode: () => string;
  readonly #compresses: boolean;
  readonly #leaves = new AbortController();
  #position: Position | undefined;
  #done: Promise<void> | undefined;
  #stays = false;

  constructor(sessionId: string, anyNode: () => string, compresses: boolean) {
    this.sessionId = sessionId;
    this.#anyNode = anyNode;
    this.#compresses = compresses;
  }

  start(): void {
    this.#done = this.#run();
  }

  /** From now on it leaves no connection that works. */
  stay(): void {
    this.#stays = true;
  }

  async stop(): Promise<void> {
    this.#leaves.abort();
    await this.#done;
  }

  /** The kept ones, on all of its connections. */
  get messages(): Reply<'message'>[] {
    return this.connections.flatMap((client) => messagesOf(client, this.sessionId));
  }

  /** Where it stands on a connection that works. */
  get position(): Position | undefined {
    const client = this.connections.at(-1);
    if (client === undefined || client.closed !== undefined || this.#position !== undefined) return undefined;
    try {
      return positionOf(client, this.sessionId);
    } catch {
      return undefined;
    }
  }

  async #run(): Promise<void> {
    while (!this.#leaves.signal.aborted) {
      await this.#visit().catch(() => sleep(100));
    }
  }

  async #visit(): Promise<void> {
    const client = await RawClient.connect(this.#anyNode(), { timeoutMs: 2_000, compress: this.#compresses });
    const since = this.#since();
    this.connections.push(client);
    try {
      const ack = await client.subscribe(this.sessionId, { claim: 'never', ...(since !== undefined && { since }) });
      if (ack.recovered === true && typeof since === 'object' && ack.position.offset !== since.offset) {
        this.violations.push(`${client.id}: recovered at ${ack.position.offset}, was at ${since.offset}`);
      }
      this.#position = undefined;
      await this.#read(client);
    } finally {
      client.startReading();
      client.terminate();
      await client.whenClosed;
      // What an acknowledgement that came too late began counts as well.
      if (client.all('subscribe_ack').length > 0) this.#position = positionOf(client, this.sessionId);
    }
  }

  async #read(client: RawClient): Promise<void> {
    const isOver = () => client.closed !== undefined || this.#leaves.signal.aborted;
    for (let visits = 1 + anyUpTo(6); (visits > 0 || this.#stays) && !isOver(); visits -= 1) {
      const isSlow = !this.#stays && Math.random() < 0.3;
      if (isSlow) client.stopReading();
      await Promise.race([sleep(200 + anyUpTo(1_500)), client.whenClosed]);
      client.startReading();
    }
  }

  #since(): Subscription['since'] {
    const known = this.#position;
    if (known === undefined || Math.random() < RESUMES) return known;
    const others = [undefined, 'oldest', { ...known, offset: anyUpTo(known.offset + 1) }] as const;
    return others[anyUpTo(others.length)];
  }
}
