import { PARTITION_TAGS, partitionOf } from './partitions.js';

const PREFIX = /^[A-Za-z0-9._:-]{1,64}$/;

/** The names of everything in Redis. Keys and channel of a session share the hash tag, and so the slot, of its partition. */
export class Keys {
  readonly prefix: string;
  readonly #partitions: readonly string[];

  /** @throws TypeError on a prefix that could disturb the hash tag or the command line */
  constructor(prefix: string) {
    if (!PREFIX.test(prefix)) throw new TypeError('a key prefix is 1 to 64 characters out of A-Z a-z 0-9 . _ : -');
    this.prefix = prefix;
    this.#partitions = PARTITION_TAGS.map((tag) => `${prefix}:{${tag}}`);
  }

  /** Sorted set: session id → deadline. */
  deadlines(partition: number): string {
    return `${this.#partition(partition)}:deadlines`;
  }

  /** Hash: the partition's epoch floor, its last sweep, the end of its guard time. */
  meta(partition: number): string {
    return `${this.#partition(partition)}:meta`;
  }

  /** What the channels of a partition begin with; the session's id follows. */
  channelBase(partition: number): string {
    return `${this.#partition(partition)}:s:`;
  }

  channel(sessionId: string): string {
    return this.channelBase(partitionOf(sessionId)) + sessionId;
  }

  /** Hash: the session's ownership record. */
  owner(sessionId: string): string {
    return `${this.channel(sessionId)}:owner`;
  }

  /** String: who does multi-step work on the session. */
  lock(sessionId: string): string {
    return `${this.channel(sessionId)}:lock`;
  }

  /** Sorted set: connection id → since when it waits for the session under `oldest_watcher`. */
  watchers(sessionId: string): string {
    return `${this.channel(sessionId)}:watchers`;
  }

  /** The channel on which an instance of the bus publishes to itself. */
  probe(partition: number, instance: string): string {
    return `${this.#partition(partition)}:probe:${instance}`;
  }

  #partition(partition: number): string {
    const base = this.#partitions[partition];
    if (base === undefined) throw new RangeError(`there is no partition ${partition}`);
    return base;
  }
}
