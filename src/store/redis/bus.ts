import { randomUUID } from 'node:crypto';
import type { Log } from '../../lib/log.js';
import { HoldfastError } from '../../protocol/errors.js';
import type { SessionBus, SessionEvent, SessionNotice } from '../../session/ports.js';
import { BusLinks } from './bus-links.js';
import { type ChannelServers, channelServers } from './bus-servers.js';
import type { RedisConnection } from './client.js';
import { messageOf, unavailable } from './errors.js';
import { decodeEvent, encodeNotice } from './events.js';
import type { Keys } from './keys.js';
import { partitionOf } from './partitions.js';
import type { StoreTelemetry } from './telemetry.js';

const SUBSCRIBE_TIMEOUT_MS = 2_000;
const LINGER_MS = 2_000;
const LINGER_TICK_MS = 500;
const MAX_LINGERING = 5_000;

interface Subscription {
  sessionId: string;
  partition: number;
  /** Calls of `subscribe` that wait for the acknowledgement. */
  waiters: Set<(error?: HoldfastError) => void>;
  /** One of them succeeded since the last `unsubscribe`. */
  confirmed: boolean;
}

/**
 * `SessionBus` over Redis pub/sub, sharded in a cluster. A channel lingers for two seconds after `unsubscribe`, so
 * that a connection that comes back finds it subscribed; at most five thousand channels linger.
 */
export class RedisBus implements SessionBus {
  readonly #servers: ChannelServers;
  readonly #keys: Keys;
  readonly #log: Log;
  readonly #telemetry: Pick<StoreTelemetry, 'gap'>;
  readonly #links: BusLinks;
  readonly #channels = new Map<string, Subscription>();
  /** Until when, on the monotonic clock; the oldest first. */
  readonly #lingering = new Map<string, number>();
  readonly #lingerTick: NodeJS.Timeout;
  #onEvent: (event: SessionEvent) => void = () => {};
  #onGap: () => void = () => {};

  constructor(connection: Pick<RedisConnection, 'commands' | 'keys' | 'log' | 'telemetry'>) {
    const { keys, log, telemetry } = connection;
    this.#keys = keys;
    this.#log = log;
    this.#telemetry = telemetry;
    this.#servers = channelServers(connection);
    const instance = randomUUID();
    this.#links = new BusLinks({
      servers: this.#servers,
      log,
      telemetry,
      probeChannel: (partition) => keys.probe(partition, instance),
      sessionChannels: () => this.#channels,
      onMessage: (channel, payload) => this.#receive(channel, payload),
      onAcknowledged: (channels) => {
        for (const channel of channels) for (const done of this.#channels.get(channel)?.waiters ?? []) done();
      },
      onGap: () => {
        this.#telemetry.gap();
        this.#onGap();
      },
    });
    this.#lingerTick = setInterval(() => this.#letGo(performance.now(), MAX_LINGERING), LINGER_TICK_MS);
  }

  /** @throws HoldfastError `store_unavailable` when the server has not acknowledged within 2 s */
  async subscribe(sessionId: string): Promise<void> {
    const channel = this.#keys.channel(sessionId);
    const partition = partitionOf(sessionId);
    this.#lingering.delete(channel);
    let subscription = this.#channels.get(channel);
    if (subscription === undefined) {
      subscription = { sessionId, partition, waiters: new Set(), confirmed: false };
      this.#channels.set(channel, subscription);
      this.#links.want(partition, channel);
    }
    try {
      if (!this.#links.isAcknowledged(partition, channel)) await acknowledgement(subscription);
      subscription.confirmed = true;
    } catch (error) {
      if (!subscription.confirmed && subscription.waiters.size === 0) this.#linger(channel);
      throw error;
    }
  }

  /** Resolves at once; the server hears of it when the channel has lingered. */
  async unsubscribe(sessionId: string): Promise<void> {
    const channel = this.#keys.channel(sessionId);
    const subscription = this.#channels.get(channel);
    if (subscription === undefined) return;
    subscription.confirmed = false;
    this.#linger(channel);
  }

  /** @throws HoldfastError `store_unavailable` */
  async publish(notice: SessionNotice): Promise<void> {
    try {
      await this.#servers.publish(this.#keys.channel(notice.sessionId), encodeNotice(notice));
    } catch (error) {
      throw unavailable(error);
    }
  }

  onEvent(listener: (event: SessionEvent) => void): void {
    this.#onEvent = listener;
  }

  onGap(listener: () => void): void {
    this.#onGap = listener;
  }

  healthy(): boolean {
    return this.#links.healthy();
  }

  async close(): Promise<void> {
    clearInterval(this.#lingerTick);
    this.#links.close();
    const error = new HoldfastError('store_unavailable', 'the node is shutting down');
    for (const { waiters } of this.#channels.values()) for (const done of waiters) done(error);
    this.#channels.clear();
    this.#lingering.clear();
  }

  #receive(channel: string, payload: Buffer): void {
    const subscription = this.#channels.get(channel);
    if (subscription === undefined || this.#lingering.has(channel)) return;
    const { sessionId, partition } = subscription;
    try {
      const event = decodeEvent(sessionId, payload);
      if (event !== undefined) this.#onEvent(event);
    } catch (error) {
      this.#log.error({ partition, bytes: payload.length, error: messageOf(error) }, 'event not decoded');
    }
  }

  #linger(channel: string): void {
    if (!this.#channels.has(channel)) return;
    this.#lingering.delete(channel);
    this.#lingering.set(channel, performance.now() + LINGER_MS);
    if (this.#lingering.size > MAX_LINGERING) this.#letGo(performance.now(), MAX_LINGERING);
  }

  #letGo(nowMs: number, keep: number): void {
    for (const [channel, untilMs] of this.#lingering) {
      if (untilMs > nowMs && this.#lingering.size <= keep) return;
      this.#lingering.delete(channel);
      const subscription = this.#channels.get(channel);
      this.#channels.delete(channel);
      if (subscription !== undefined) this.#links.unwant(subscription.partition, channel);
    }
  }
}

function acknowledgement({ waiters }: Subscription): Promise<void> {
  return new Promise((resolve, reject) => {
    const done = (error?: HoldfastError) => {
      clearTimeout(timer);
      waiters.delete(done);
      if (error === undefined) resolve();
      else reject(error);
    };
    const unavailable = () => done(new HoldfastError('store_unavailable', 'the event channel is not available'));
    const timer = setTimeout(unavailable, SUBSCRIBE_TIMEOUT_MS);
    waiters.add(done);
  });
}
