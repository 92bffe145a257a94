import { type Clock, CorrectedClock, systemClock } from '../lib/clock.js';
import type { Log } from '../lib/log.js';

/** A round trip that takes longer says too little about the other end's time. */
const MAX_ROUND_TRIP_MS = 1_000;
const WARN_FROM_MS = 5_000;
const RIGHT_BELOW_MS = 2_000;

/**
 * Follows how far the node's clock is off the store's, by which all nodes go: what rests on wall time (expiries of
 * tokens, timestamps of signed requests) is read from `clock`, and so holds on a node whose own clock is wrong.
 */
export class ClockWatch {
  readonly clock: CorrectedClock;
  readonly #system: Clock;
  readonly #log: Log;
  #measured = false;
  #off = false;

  constructor({ log, system = systemClock }: { log: Log; system?: Clock }) {
    this.#log = log;
    this.#system = system;
    this.clock = new CorrectedClock(system);
  }

  /** How far the node's clock is ahead of the store's, in ms; undefined until it was measured. */
  get aheadMs(): number | undefined {
    return this.#measured ? Math.round(this.clock.aheadMs) : undefined;
  }

  /**
   * Takes the store's time from a call that answers with it.
   * @throws whatever `ask` throws
   */
  async measure(ask: () => Promise<number>): Promise<void> {
    const sentMs = this.#system.monotonicMs();
    const storeMs = await ask();
    const roundTripMs = this.#system.monotonicMs() - sentMs;
    if (roundTripMs > MAX_ROUND_TRIP_MS) return;
    this.#measured = true;
    this.clock.aheadMs = this.#system.wallMs() - roundTripMs / 2 - storeMs;
    this.#tell();
  }

  #tell(): void {
    const offMs = Math.abs(this.clock.aheadMs);
    const fields = { code: 'clock_offset', ahead_ms: this.aheadMs };
    if (!this.#off && offMs > WARN_FROM_MS) {
      this.#off = true;
      const line = "the clock of this node and that of the store differ; the node goes by the store's: set both by NTP";
      this.#log.warn(fields, line);
    } else if (this.#off && offMs < RIGHT_BELOW_MS) {
      this.#off = false;
      this.#log.info(fields, 'the clocks of this node and the store agree again');
    }
  }
}
