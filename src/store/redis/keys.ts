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

  /** Stream: the session's messages; an entry's id is its offset. */
  log(sessionId: string): string {
    return `${this.channel(sessionId)}:log`;
  }

  /** Hash: where the session's messages stand, and the last answer to each writer. */
  position(sessionId: string): string {
    return `${this.channel(sessionId)}:pos`;
  }

  /** String: which message an idempotency key stands for. */
  sent(sessionId: string, hash: string): string {
    return `${this.channel(sessionId)}:sent:${hash}`;
  }

  /** Hash: who is in the session. */
  members(sessionId: string): string {
    return `${this.channel(sessionId)}:members`;
  }

  /** Sorted set: session and connection → when the entry among the session's members ends. */
  presence(partition: number): string {
    return `${this.#partition(partition)}:presence`;
  }

  /** Stream: what the application is to be told of. */
  outbox(partition: number): string {
    return `${this.#partition(partition)}:outbox`;
  }

  /** Stream: what it could not be told. */
  outboxDead(partition: number): string {
    return `${this.outbox(partition)}:dead`;
  }

  /** String: which node tells it. */
  outboxLease(partition: number): string {
    return `${this.outbox(partition)}:lease`;
  }

  /** Sorted set: node → until when it counts among those that tell it. */
  get outboxConsumers(): string {
    return `${this.prefix}:outbox:consumers`;
  }

  /** Sorted set: free session → when it counts as idle. */
  idle(partition: number): string {
    return `${this.#partition(partition)}:idle`;
  }

  /** Stream: what happened to the logins of a handle's partition. */
  audit(handle: string): string {
    return `${this.#partition(partitionOf(handle))}:audit`;
  }

  /** Hash: the login's record. */
  login(handle: string): string {
    return `${this.#loginBase(handle)}:login`;
  }

  /** String: the application chose this login's id, so it stays taken for ever. */
  loginTaken(handle: string): string {
    return `${this.#loginBase(handle)}:taken`;
  }

  /** Sorted set: connection and session → the epoch at which the login's connection owned it. */
  loginOwned(handle: string): string {
    return `${this.#loginBase(handle)}:owned`;
  }

  /** Sorted set: handles of the principal's logins → when they are over at the latest. */
  principalLogins(principalHandle: string): string {
    return `${this.#partition(partitionOf(principalHandle))}:p:${principalHandle}:logins`;
  }

  /** String: from when on the principal's JWTs count. */
  principalNotBefore(principalHandle: string): string {
    return `${this.#partition(partitionOf(principalHandle))}:p:${principalHandle}:not_before`;
  }

  /** String: what a ticket or a login code stands for. */
  oneTime(kind: 'ticket' | 'code', hash: string): string {
    return `${this.prefix}:${kind}:${hash}`;
  }

  /** Stream: what nodes are told: logins that ended, principals to be disconnected, what an operator wants of a node. */
  get control(): string {
    return `${this.prefix}:control`;
  }

  /** Sorted set: node and boot id → when it was last heard of. */
  get nodes(): string {
    return `${this.prefix}:nodes`;
  }

  /** Hash: what the nodes said. The tag puts it into the slot of `nodes`, which has none. */
  get nodeReports(): string {
    return `${this.prefix}:{${this.nodes}}:reports`;
  }

  /** String: what a node writes to see whether the store answers: where it writes that it is there. */
  get asked(): string {
    return `${this.prefix}:{${this.nodes}}:asked`;
  }

  /** Hash: the login's grant at another provider. */
  upstream(handle: string): string {
    return `${this.#loginBase(handle)}:upstream`;
  }

  /** String: who asks that provider now. */
  upstreamLock(handle: string): string {
    return `${this.upstream(handle)}:lock`;
  }

  /** The channel on which an instance of the bus publishes to itself. */
  probe(partition: number, instance: string): string {
    return `${this.#partition(partition)}:probe:${instance}`;
  }

  #loginBase(handle: string): string {
    return `${this.#partition(partitionOf(handle))}:l:${handle}`;
  }

  #partition(partition: number): string {
    const base = this.#partitions[partition];
    if (base === undefined) throw new RangeError(`there is no partition ${partition}`);
    return base;
  }
}
