import type { Log } from '../lib/log.js';
import type { NodeRegistry, NodeReport } from './ports.js';

const LOOK_EVERY_MS = 500;
const BEAT_EVERY_MS = 5_000;

/** Tells the registry that the node is there: every five seconds, and soon when something has changed. */
export class Heartbeat {
  readonly #registry: NodeRegistry;
  readonly #report: () => NodeReport;
  readonly #log: Log;
  #timer: NodeJS.Timeout | undefined;
  #running = false;
  #told = '';
  #toldAtMs = Number.NEGATIVE_INFINITY;
  #fails = false;
  #beating: Promise<void> = Promise.resolve();

  constructor(options: { registry: NodeRegistry; report: () => NodeReport; log: Log }) {
    this.#registry = options.registry;
    this.#report = options.report;
    this.#log = options.log;
  }

  /** False while the store does not take what nodes write. */
  get works(): boolean {
    return !this.#fails;
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
    if (text === this.#told && nowMs - this.#toldAtMs < BEAT_EVERY_MS) return;
    try {
      await this.#registry.beat(report);
      this.#told = text;
      this.#toldAtMs = nowMs;
      this.#fails = false;
    } catch (error) {
      if (!this.#fails) this.#log.warn({ error }, 'heartbeat not written');
      this.#fails = true;
    }
  }
}
