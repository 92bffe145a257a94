import type { Clock } from '../lib/clock.js';
import type { Log } from '../lib/log.js';
import type { Advice } from './ports.js';

export interface StoreHealthOptions {
  /** What is wrong between this node and its store now, by name, such as `store_unreachable`; empty while all works. */
  faults(): string[];
  /** What to make of it, as far as the store has said. */
  advice(): Advice | undefined;
  /** Whether the store answers a connection that is made for the question. Must not reject. */
  answers(): Promise<boolean>;
  /** Not ready without the store, whoever else has lost it too. */
  strict: boolean;
  clock: Clock;
  log: Log;
}

export interface StoreVerdict {
  /** Why this node should get no connections: others may do better. */
  reasons: string[];
  /** What is wrong for all nodes as far as this one can tell: to take it out would help nobody. */
  degraded: string[];
}

const LOOK_EVERY_MS = 500;
const ASK_EVERY_MS = 2_000;
const ANSWERS = 2;
/** Shorter troubles, such as a reconnection, are no reason to send connections elsewhere. */
const PATIENCE_MS = 5_000;
const REMIND_EVERY_MS = 300_000;
/** Causes may take turns. */
const CHANGE_QUIET_MS = 30_000;

/**
 * Tells a node that alone has lost its store from an outage of the store. In an outage readiness must not take every
 * node out at once: there is nowhere else to go, and those that are connected can go on. The difference is whether a
 * fresh connection is answered where the standing ones do not work.
 */
export class StoreHealth {
  readonly #options: StoreHealthOptions;
  readonly #timer: NodeJS.Timeout;
  /** By the monotonic clock. */
  #changedAtMs: number;
  #askedAtMs = Number.NEGATIVE_INFINITY;
  #asking = false;
  #works = false;
  #everWorked = false;
  /** The store answers, so it is this node that has lost it. */
  #alone = false;
  /** How often in a row it has answered: once it does while everybody's connections are being made again. */
  #answered = 0;
  /** What was told of the present trouble. */
  #told: { code: string; atMs: number } | undefined;

  constructor(options: StoreHealthOptions) {
    this.#options = options;
    this.#changedAtMs = options.clock.monotonicMs();
    this.#timer = setInterval(() => this.look(), LOOK_EVERY_MS).unref();
  }

  /** How long all has worked, or something has not. */
  get sinceMs(): number {
    return this.#options.clock.monotonicMs() - this.#changedAtMs;
  }

  verdict(): StoreVerdict {
    const faults = this.look();
    const alone = this.#alone && this.sinceMs >= PATIENCE_MS;
    // Until it has worked once the node is of no use to anybody.
    const out = this.#options.strict || alone || !this.#everWorked;
    return out ? { reasons: faults, degraded: [] } : { reasons: [], degraded: faults };
  }

  /** Takes note of how things are. @returns what is wrong */
  look(): string[] {
    const { clock, log } = this.#options;
    const faults = this.#options.faults();
    const works = faults.length === 0;
    if (works !== this.#works) {
      if (works && this.#told !== undefined) {
        log.info({ code: this.#told.code, after_ms: Math.round(this.sinceMs) }, 'store works again');
      }
      this.#works = works;
      this.#changedAtMs = clock.monotonicMs();
      this.#alone = false;
      this.#answered = 0;
      this.#told = undefined;
    }
    if (!works) this.#tell(faults);
    this.#everWorked ||= works;
    // Before it has worked once it is not ready anyway.
    if (!works && this.#everWorked) void this.#ask();
    return faults;
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  async #ask(): Promise<void> {
    const { answers, clock, log } = this.#options;
    if (this.#asking || clock.monotonicMs() - this.#askedAtMs < ASK_EVERY_MS) return;
    this.#asking = true;
    this.#answered = (await answers()) ? this.#answered + 1 : 0;
    this.#asking = false;
    this.#askedAtMs = clock.monotonicMs();
    const alone = this.#answered >= ANSWERS;
    if (this.#works || alone === this.#alone) return;
    this.#alone = alone;
    if (alone) log.warn({}, 'the store answers others; this node is not ready while its own connections do not work');
    else log.warn({}, 'no store answers; this node stays ready, since others cannot do better');
  }

  #tell(faults: readonly string[]): void {
    const { advice, clock, log } = this.#options;
    // By then it is no mere reconnection, and what is written has been refused if it is going to be.
    if (this.sinceMs < PATIENCE_MS) return;
    const { code = faults[0] ?? '', ...rest } = advice() ?? {};
    const nowMs = clock.monotonicMs();
    const quietMs = code === this.#told?.code ? REMIND_EVERY_MS : CHANGE_QUIET_MS;
    if (this.#told !== undefined && nowMs - this.#told.atMs < quietMs) return;
    this.#told = { code, atMs: nowMs };
    log.warn({ faults, code, ...rest }, 'store does not work; open connections stay');
  }
}
