import type { Log } from '../lib/log.js';
import type { ClockWatch } from './clock-watch.js';
import { BEAT_EVERY_MS, type NodeRegistry, type NodeReport } from './ports.js';

const LOOK_EVERY_MS = 500;

/** Tells the registry that the node is there: every five seconds, and soon when something has changed. */
export class Heartbeat {
  readonly #registry: NodeRegistry;
  readonly #report: () => NodeReport;
  readonly #clock: Pick<ClockWatch, 'measure'>;
  readonly #log: Log;
  #timer: NodeJS.Timeout | undefined;
  #running = false;
  #told = '';
  #toldAtMs = Number.NEGATIVE_INFINITY;
  #failure: unknown;
  #proven = false;
  #beating: Promise<void> = Promise.resolve();

  constructor(options: {
    registry: NodeRegistry;
    report: () => NodeReport;
    clock: Pick<ClockWatch, 'measure'>;
    log: Log;
  }) {
    this.#registry = options.registry;
    this.#report = options.report;
    this.#clock = options.clock;
    this.#log = options.log;
  }

  /** Why the last beat was not taken; undefined when it was. */
  get failure(): unknown {
    return this.#failure;
  }

  /** Whether a beat was taken since the store was last out of reach. */
  get proven(): boolean {
    return this.#proven;
  }

  /** The store is out of reach: that it takes what is written has to be seen again. */
  doubt(): void {
    this.#proven = false;
  }

  /** Resolves after the first beat, whether it arrived or not. */
  async start(): Promise<void> {
    this.#running = true;
    await this.#next();
  }

  /** Leaves the registry; where that fails the node counts as lost for an hour. */
  async stop(): Promise<void> {
    this.#running = false;
    clearTimeout(this.#timer);
    // A beat that arrived later would bring the node back.
    await this.#beating;
    await this.#registry.leave(this.#report()).catch((error: unknown) => {
      this.#log.warn({ error }, 'node not taken from the list of nodes');
    });
  }

  async #next(): Promise<void> {
    this.#beating = this.#beat();
    await this.#beating;
    if (this.#running) this.#timer = setTimeout(() => void this.#next(), LOOK_EVERY_MS).unref();
  }

  async #beat(): Promise<void> {
    const report = this.#report();
    const text = JSON.stringify(report);
    const nowMs = performance.now();
    if (this.#proven && text === this.#told && nowMs - this.#toldAtMs < BEAT_EVERY_MS) return;
    try {
      await this.#clock.measure(() => this.#registry.beat(report));
      this.#told = text;
      this.#toldAtMs = nowMs;
      this.#failure = undefined;
      this.#proven = true;
    } catch (error) {
      // Told once, with what it means, by who looks after the store.
      this.#log.debug({ error }, 'heartbeat not written');
      this.#failure = error;
      this.#proven = false;
    }
  }
}
