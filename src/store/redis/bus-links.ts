import type { Log } from '../../lib/log.js';
import { SubscriberLink } from './bus-link.js';
import type { ChannelServers } from './bus-servers.js';
import { PARTITIONS } from './partitions.js';
import { DeliveryProbe } from './probe.js';
import type { StoreTelemetry } from './telemetry.js';

const TICK_MS = 1_000;
/** While subscriptions are refused again and again for one reason, it is not told more often. */
const SAME_LOSS_QUIET_MS = 60_000;
/** While delivery is proven, one probe a link every so many ticks; else one every tick. */
const TICKS_PER_PROBE = 3;
/** After a slot moved the layout is asked for more than once: any node may answer, and some learn of it late. */
const REFRESH_DELAYS_MS = [0, 50, 100, 200, 400, 800];

export interface BusLinksOptions {
  servers: ChannelServers;
  log: Log;
  telemetry: Pick<StoreTelemetry, 'probe'>;
  probeChannel(partition: number): string;
  /** All wanted channels. */
  sessionChannels(): Iterable<[channel: string, { partition: number }]>;
  onMessage(channel: string, payload: Buffer): void;
  onAcknowledged(channels: readonly string[]): void;
  onGap(): void;
}

interface Served {
  link: SubscriberLink;
  partitions: number[];
  /** The last probe came back, on the present connection. */
  proven: boolean;
  /** The connection on which a probe is under way; 0 when none is. */
  probing: number;
  probes: number;
  /** Told last, since it was live. */
  lost?: { reason: string; atMs: number } | undefined;
}

/** One link for each server, with the channels of the partitions that it serves; moves them when the layout changes. */
export class BusLinks {
  readonly #options: BusLinksOptions;
  readonly #probe: DeliveryProbe;
  /** The channel that probes each partition; by channel, for what arrives. */
  readonly #probeChannels: string[];
  readonly #isProbe: ReadonlySet<string>;
  readonly #assigned: (string | undefined)[];
  readonly #served = new Map<string, Served>();
  /** Moved to another server and not acknowledged there yet. */
  readonly #moving = new Set<string>();
  readonly #tick: NodeJS.Timeout;
  #ticks = 0;
  #refresh: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(options: BusLinksOptions) {
    this.#options = options;
    const { servers } = options;
    this.#probe = new DeliveryProbe({ publish: (channel, payload) => servers.publish(channel, payload) });
    // One server needs one probe channel; in a cluster each slot can go astray alone.
    const probed = servers.sharded ? PARTITIONS : 1;
    this.#probeChannels = Array.from({ length: probed }, (_, partition) => options.probeChannel(partition));
    this.#isProbe = new Set(this.#probeChannels);
    this.#assigned = Array.from({ length: PARTITIONS }, () => undefined);
    servers.onChange(() => this.#assign());
    this.#assign();
    this.#tick = setInterval(() => this.#onTick(), TICK_MS);
  }

  /** True while every partition's channels are subscribed and the last probe of every link came back. */
  healthy(): boolean {
    if (this.#closed || this.#moving.size > 0 || this.#assigned.includes(undefined)) return false;
    for (const { link, proven } of this.#served.values()) if (!link.live || !proven) return false;
    return true;
  }

  isAcknowledged(partition: number, channel: string): boolean {
    return this.#linkOf(partition)?.isAcknowledged(channel) ?? false;
  }

  want(partition: number, channel: string): void {
    this.#linkOf(partition)?.want([channel]);
  }

  unwant(partition: number, channel: string): void {
    this.#linkOf(partition)?.unwant([channel]);
    this.#settle([channel]);
  }

  close(): void {
    this.#closed = true;
    clearInterval(this.#tick);
    clearTimeout(this.#refresh);
    for (const { link } of this.#served.values()) link.close();
    this.#served.clear();
  }

  #linkOf(partition: number): SubscriberLink | undefined {
    const server = this.#assigned[partition];
    return server === undefined ? undefined : this.#served.get(server)?.link;
  }

  /** Follows the layout: what moved is subscribed at its new server, which may have published before that. */
  #assign(): void {
    if (this.#closed) return;
    const changed = new Map<number, string>();
    for (let partition = 0; partition < PARTITIONS; partition += 1) {
      const server = this.#options.servers.serverOf(partition);
      if (server !== undefined && server !== this.#assigned[partition]) changed.set(partition, server);
    }
    if (changed.size === 0) return;
    clearTimeout(this.#refresh);
    this.#refresh = undefined;
    const channels = this.#channelsOf(changed);
    for (const [partition, server] of changed) {
      const moved = channels.get(partition) ?? [];
      const previous = this.#assigned[partition];
      this.#assigned[partition] = server;
      if (previous !== undefined) {
        for (const channel of moved) this.#moving.add(channel);
        const from = this.#served.get(previous);
        if (from !== undefined) {
          from.link.unwant(moved);
          from.partitions = from.partitions.filter((kept) => kept !== partition);
        }
      }
      const to = this.#served.get(server) ?? this.#serve(server);
      to.partitions.push(partition);
      to.link.want(moved);
    }
    for (const [server, { link, partitions }] of this.#served) {
      if (partitions.length > 0) continue;
      link.close();
      this.#served.delete(server);
    }
  }

  #channelsOf(partitions: ReadonlyMap<number, unknown>): Map<number, string[]> {
    const channels = new Map<number, string[]>();
    for (const partition of partitions.keys()) {
      const probe = this.#probeChannels[partition];
      channels.set(partition, probe === undefined ? [] : [probe]);
    }
    for (const [channel, { partition }] of this.#options.sessionChannels()) channels.get(partition)?.push(channel);
    return channels;
  }

  #serve(server: string): Served {
    const { servers, log } = this.#options;
    const link = new SubscriberLink({
      connect: () => servers.connect(server),
      sharded: servers.sharded,
      onMessage: (channel, payload) => {
        if (this.#isProbe.has(channel)) this.#probe.received(payload.toString());
        else this.#options.onMessage(channel, payload);
      },
      onAcknowledged: (channels) => {
        this.#options.onAcknowledged(channels);
        if (this.#settle(channels)) this.#options.onGap();
      },
      onLive: (again) => {
        log.info({ server, again }, 'subscriptions live');
        served.lost = undefined;
        if (again) this.#options.onGap();
        void this.#prove(served);
      },
      onLost: (reason) => {
        served.proven = false;
        const nowMs = performance.now();
        const isNews = reason !== served.lost?.reason || nowMs - served.lost.atMs >= SAME_LOSS_QUIET_MS;
        if (isNews) served.lost = { reason, atMs: nowMs };
        log[isNews ? 'warn' : 'debug']({ server, reason }, 'subscriptions lost');
        servers.refresh();
      },
      onRefused: () => this.#refreshUntilChanged(0),
    });
    const served: Served = { link, partitions: [], proven: false, probing: 0, probes: 0 };
    this.#served.set(server, served);
    return served;
  }

  /** @returns true when these were the last that were moving */
  #settle(channels: readonly string[]): boolean {
    if (this.#moving.size === 0) return false;
    for (const channel of channels) this.#moving.delete(channel);
    return this.#moving.size === 0;
  }

  #refreshUntilChanged(attempt: number): void {
    const delayMs = REFRESH_DELAYS_MS[attempt];
    if (this.#closed || delayMs === undefined || (attempt === 0 && this.#refresh !== undefined)) return;
    this.#refresh = setTimeout(() => {
      this.#refresh = undefined;
      this.#options.servers.refresh();
      this.#refreshUntilChanged(attempt + 1);
    }, delayMs);
  }

  #onTick(): void {
    this.#ticks += 1;
    for (const served of this.#served.values()) {
      if (!served.proven || this.#ticks % TICKS_PER_PROBE === 0) void this.#prove(served);
    }
  }

  async #prove(served: Served): Promise<void> {
    const { link, partitions } = served;
    const partition = partitions[served.probes % partitions.length] ?? 0;
    const channel = this.#probeChannels[partition % this.#probeChannels.length];
    const connection = link.connections;
    if (channel === undefined || !link.isAcknowledged(channel) || served.probing === connection) return;
    served.probing = connection;
    served.probes += 1;
    const result = await this.#probe.run(channel);
    // A lost connection, or a partition that moved, took this probe with it.
    if (this.#closed || connection !== link.connections) return;
    served.probing = 0;
    if (!link.isAcknowledged(channel)) return;
    served.proven = result === 'delivered';
    if (result === 'unknown') return;
    this.#options.telemetry.probe(result === 'delivered');
    if (result === 'delivered') link.confirm();
    else link.restart('a probe did not come back');
  }
}
