import type { Redis } from 'ioredis';
import { equalJitterMs } from '../../lib/backoff.js';
import { coalesceWrites } from './coalesce.js';
import { messageOf } from './errors.js';

const BEAT_MS = 1_000;
/** Beats that may pass while an answer is due. Counted, not timed: a stalled event loop must not look like a loss. */
const MAX_SILENT_BEATS = 2;
const MAX_CONNECTING_BEATS = 5;
/** The server's count of subscriptions may differ for one beat, while it moves a slot. */
const MAX_MISCOUNTS = 2;
/** Claims wait for their subscription, so this too delays what works again after an outage. */
const MAX_BACKOFF_MS = 1_000;
const BATCH = 500;

export interface LinkOptions {
  /** Makes a fresh connection that neither reconnects nor resubscribes by itself. */
  connect(): Redis;
  /** Sharded pub/sub, as in a cluster: `SSUBSCRIBE`. */
  sharded: boolean;
  onMessage(channel: string, payload: Buffer): void;
  /** The server acknowledged these: what is published on them from now on arrives. */
  onAcknowledged(channels: readonly string[]): void;
  /** All wanted channels are acknowledged. `again`: after a loss, so that something may have been missed. */
  onLive(again: boolean): void;
  onLost(reason: string): void;
  /** The server does not serve some of the channels, or not any more. */
  onRefused(): void;
}

/** What goes into one command: many channels, in a cluster only those of one hash slot. */
function batches(channels: Iterable<string>, sharded: boolean): string[][] {
  const bySlot = new Map<string, string[]>();
  const full: string[][] = [];
  for (const channel of channels) {
    const tag = sharded ? channel.slice(0, channel.indexOf('}')) : '';
    const batch = bySlot.get(tag);
    if (batch === undefined) bySlot.set(tag, [channel]);
    else if (batch.push(channel) === BATCH) {
      full.push(batch);
      bySlot.delete(tag);
    }
  }
  return [...full, ...bySlot.values()];
}

/**
 * One server's subscriptions, kept as wanted through every loss of the connection. Each attempt is a new connection,
 * so that nothing of an old one (a queued command, a late acknowledgement) can be taken for the present. On one
 * connection the server answers in order, which serialises subscribing and unsubscribing for each channel.
 */
export class SubscriberLink {
  readonly #options: LinkOptions;
  readonly #wanted = new Set<string>();
  /** What the server has once it has read everything sent on this connection; the value tells two sends apart. */
  readonly #sent = new Map<string, number>();
  readonly #acknowledged = new Set<string>();
  /** To be sent at the end of this turn of the event loop; first those to leave. */
  readonly #leaving = new Set<string>();
  readonly #joining = new Set<string>();
  #sends = 0;
  #connections = 0;
  #client: Redis | undefined;
  #ready = false;
  #live = false;
  #wasLive = false;
  #refused = false;
  #closed = false;
  #failures = 0;
  #silentBeats = 0;
  #beatDue = false;
  #miscounts = 0;
  #retry: NodeJS.Timeout | undefined;
  readonly #beat: NodeJS.Timeout;

  constructor(options: LinkOptions) {
    this.#options = options;
    this.#beat = setInterval(() => this.#onBeat(), BEAT_MS);
    this.#connect();
  }

  /** True while all wanted channels are acknowledged and the server answers. */
  get live(): boolean {
    return this.#live;
  }

  /** Counts the connections made; tells one from the next. */
  get connections(): number {
    return this.#connections;
  }

  isAcknowledged(channel: string): boolean {
    return this.#acknowledged.has(channel);
  }

  want(channels: Iterable<string>): void {
    for (const channel of channels) {
      this.#wanted.add(channel);
      if (!this.#sent.has(channel)) this.#queue(this.#joining, channel);
    }
  }

  unwant(channels: Iterable<string>): void {
    for (const channel of channels) {
      this.#wanted.delete(channel);
      this.#joining.delete(channel);
      this.#acknowledged.delete(channel);
      if (this.#sent.delete(channel)) this.#queue(this.#leaving, channel);
    }
  }

  /** Delivery is proven: the next loss is answered without delay. */
  confirm(): void {
    this.#failures = 0;
  }

  /** Drops the connection and makes a new one: at once, or after a delay if losses follow one another. */
  restart(reason: string): void {
    if (this.#closed || this.#retry !== undefined) return;
    this.#discard();
    const backoffMs = Math.min(MAX_BACKOFF_MS, 50 * 2 ** this.#failures);
    const delayMs = this.#failures === 0 ? 0 : equalJitterMs(backoffMs);
    this.#failures += 1;
    this.#retry = setTimeout(() => {
      this.#retry = undefined;
      this.#connect();
    }, delayMs);
    this.#options.onLost(reason);
  }

  close(): void {
    this.#closed = true;
    clearInterval(this.#beat);
    clearTimeout(this.#retry);
    this.#discard();
  }

  #discard(): void {
    const client = this.#client;
    this.#client = undefined;
    this.#ready = false;
    this.#live = false;
    this.#sent.clear();
    this.#leaving.clear();
    this.#acknowledged.clear();
    if (client === undefined) return;
    client.disconnect();
    // disconnect() waits for the peer's FIN, which a dead peer never sends.
    client.stream?.destroy();
  }

  #connect(): void {
    const client = this.#options.connect();
    coalesceWrites(client);
    this.#client = client;
    this.#connections += 1;
    this.#beatDue = false;
    this.#silentBeats = 0;
    this.#miscounts = 0;
    client.on('error', (error) => {
      if (client === this.#client) this.restart(error.message);
    });
    client.on('close', () => {
      if (client === this.#client) this.restart('connection closed');
    });
    client.on('ready', () => {
      if (client !== this.#client) return;
      this.#ready = true;
      void this.#synchronise(client);
    });
    // The server took a channel away because its slot moved.
    client.on('moved', () => {
      if (client === this.#client) this.#options.onRefused();
    });
    // Payloads are passed on as they come: most are bytes for a frame.
    client.on(this.#options.sharded ? 'smessageBuffer' : 'messageBuffer', (channel: Buffer, payload: Buffer) => {
      if (client === this.#client) this.#options.onMessage(channel.toString('latin1'), payload);
    });
    if (client.status === 'wait') client.connect().catch(() => {});
  }

  #queue(queue: Set<string>, channel: string): void {
    if (this.#joining.size + this.#leaving.size === 0) setImmediate(() => this.#flush());
    queue.add(channel);
  }

  #flush(): void {
    this.#unsubscribe();
    const channels = [...this.#joining].filter((channel) => !this.#sent.has(channel));
    this.#joining.clear();
    // Otherwise `#synchronise` will do it.
    if (this.#ready) for (const batch of batches(channels, this.#options.sharded)) void this.#subscribe(batch);
  }

  #unsubscribe(): void {
    const client = this.#client;
    const leaving = batches(this.#leaving, this.#options.sharded);
    this.#leaving.clear();
    if (client === undefined) return;
    for (const batch of leaving) {
      // Fails when the connection is gone or the slot has moved: either way the server has forgotten them.
      (this.#options.sharded ? client.sunsubscribe(...batch) : client.unsubscribe(...batch)).catch(() => {});
    }
  }

  /** Subscribes what the server does not have yet. */
  async #synchronise(client: Redis): Promise<void> {
    this.#refused = false;
    this.#unsubscribe();
    const missing = [...this.#wanted].filter((channel) => !this.#sent.has(channel));
    await Promise.all(batches(missing, this.#options.sharded).map((batch) => this.#subscribe(batch)));
    if (client !== this.#client || this.#refused) return;
    this.#live = true;
    this.#silentBeats = 0;
    const again = this.#wasLive;
    this.#wasLive = true;
    this.#options.onLive(again);
  }

  async #subscribe(batch: readonly string[]): Promise<void> {
    const client = this.#client;
    if (client === undefined) return;
    this.#sends += 1;
    const send = this.#sends;
    for (const channel of batch) this.#sent.set(channel, send);
    try {
      await (this.#options.sharded ? client.ssubscribe(...batch) : client.subscribe(...batch));
    } catch (error) {
      if (client === this.#client) this.#onRefused(batch, send, error);
      return;
    }
    if (client !== this.#client) return;
    // What was unsubscribed meanwhile, and perhaps subscribed again, has another answer coming.
    const current = batch.filter((channel) => this.#sent.get(channel) === send);
    for (const channel of current) this.#acknowledged.add(channel);
    this.#options.onAcknowledged(current);
  }

  #onRefused(batch: readonly string[], send: number, error: unknown): void {
    if (!this.#options.sharded) {
      this.restart(messageOf(error));
      return;
    }
    for (const channel of batch) if (this.#sent.get(channel) === send) this.#sent.delete(channel);
    this.#refused = true;
    this.#live = false;
    this.#options.onRefused();
  }

  #onBeat(): void {
    const client = this.#client;
    if (client === undefined) return;
    if (this.#beatDue || !this.#live) this.#silentBeats += 1;
    if (this.#silentBeats >= (this.#live ? MAX_SILENT_BEATS : MAX_CONNECTING_BEATS)) this.restart('no answer');
    else if (this.#refused) void this.#synchronise(client);
    else if (this.#live && !this.#beatDue) void this.#count(client);
  }

  /**
   * Unsubscribes from a channel that was never subscribed. That changes nothing, proves that the server answers, and
   * the answer counts the subscriptions that it has for this connection.
   */
  async #count(client: Redis): Promise<void> {
    const [any] = this.#wanted;
    if (any === undefined) return;
    const never = `${any}:none`;
    this.#unsubscribe();
    const expected = this.#sent.size;
    this.#beatDue = true;
    try {
      const count = await (this.#options.sharded ? client.sunsubscribe(never) : client.unsubscribe(never));
      if (client !== this.#client) return;
      this.#miscounts = count === expected ? 0 : this.#miscounts + 1;
    } catch {
      if (client !== this.#client) return;
      // The slot has moved, or there is no answer in the client's time. Either way the count is not confirmed.
      this.#miscounts += 1;
    }
    this.#silentBeats = 0;
    this.#beatDue = false;
    if (this.#miscounts >= MAX_MISCOUNTS) this.restart('subscriptions lost at the server');
  }
}
