import { roughlyMs } from '../lib/backoff.js';
import type { Log } from '../lib/log.js';
import type { OwnershipStore } from './ports.js';
import type { PresenceStore } from './presence-ports.js';
import type { SessionTelemetry } from './telemetry.js';

const BATCH = 200;
const MAX_BATCHES = 50;
/** Few at a time, from a random one on: so nodes that sweep at once share the work. */
const PARTITIONS_AT_ONCE = 4;

export interface SweeperOptions {
  store: OwnershipStore;
  /** Absent where no namespace has presence. */
  presence?: PresenceStore | undefined;
  log: Log;
  telemetry: SessionTelemetry;
}

/**
 * Releases what has lapsed (O4), and ends what presence has of connections that are gone. Every node sweeps every
 * partition, in an order and at a time of its own; the store's step picks the one that releases.
 */
export class Sweeper {
  readonly #store: OwnershipStore;
  readonly #presence: PresenceStore | undefined;
  readonly #log: Log;
  readonly #telemetry: SessionTelemetry;
  readonly #everyMs: number;
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;
  /** The first sweep of an unused store always finds a gap. */
  #guarded = true;
  #stopped = false;

  constructor(options: SweeperOptions, everyMs: number) {
    this.#store = options.store;
    this.#presence = options.presence;
    this.#log = options.log;
    this.#telemetry = options.telemetry;
    this.#everyMs = everyMs;
  }

  start(): void {
    if (this.#stopped) return;
    this.#running = this.#sweepAll().finally(() => {
      if (this.#stopped) return;
      this.#timer = setTimeout(() => this.start(), roughlyMs(this.#everyMs)).unref();
    });
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#running;
  }

  async #sweepAll(): Promise<void> {
    const { partitions } = this.#store;
    const all = partitions + (this.#presence?.partitions ?? 0);
    let next = Math.floor(Math.random() * all);
    const end = next + all;
    let failed = 0;
    let guarded = false;
    const lane = async () => {
      while (next < end && !this.#stopped) {
        const partition = next++ % all;
        try {
          if (partition >= partitions) await this.#sweepPresence(partition - partitions);
          else if (await this.#sweep(partition)) guarded = true;
        } catch {
          failed++;
        }
      }
    };
    await Promise.all(Array.from({ length: PARTITIONS_AT_ONCE }, lane));
    if (failed > 0) this.#log.debug({ partitions: failed }, 'partitions not swept');
    if (guarded === this.#guarded) return;
    this.#guarded = guarded;
    if (guarded) this.#log.warn({}, "a gap in the store's time: nothing is released for one lease");
    else this.#log.info({}, 'releasing again');
  }

  /** @returns whether the partition is guarded */
  async #sweep(partition: number): Promise<boolean> {
    for (let batch = 0; batch < MAX_BATCHES && !this.#stopped; batch++) {
      const { released, more, guarded } = await this.#store.sweep(partition, BATCH);
      if (released.length > 0) {
        this.#telemetry.swept(released.length);
        this.#log.info({ partition, sessions: released.length }, 'lapsed sessions released');
      }
      if (!more) return guarded;
    }
    return false;
  }

  async #sweepPresence(partition: number): Promise<void> {
    for (let batch = 0; batch < MAX_BATCHES && !this.#stopped; batch++) {
      const outcome = await this.#presence?.sweep(partition, BATCH);
      if (outcome?.more !== true) return;
    }
  }
}
