import { roughlyMs } from '../lib/backoff.js';
import type { SessionNode } from './session-node.js';

const CHUNK = 500;

/**
 * Events are hints, the store is the truth: after a gap, and from time to time, what the local subscribers were told
 * is compared with the store and put right.
 */
export class Reconciliation {
  readonly #node: SessionNode;
  readonly #everyMs: number;
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;
  #again = false;

  constructor(node: SessionNode, everyMs: number) {
    this.#node = node;
    this.#everyMs = everyMs;
  }

  start(): void {
    this.#timer = setTimeout(
      () => void this.run().finally(() => this.#timer !== undefined && this.start()),
      roughlyMs(this.#everyMs),
    ).unref();
  }

  async stop(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    await this.#running;
  }

  /** One pass over all sessions with local subscribers; a call during a pass makes it run once more. */
  run(): Promise<void> {
    this.#again = true;
    this.#running ??= this.#passes().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  async #passes(): Promise<void> {
    while (this.#again) {
      this.#again = false;
      const sessionIds = [...this.#node.hub.channels.keys()];
      let repaired = 0;
      for (let start = 0; start < sessionIds.length; start += CHUNK) {
        repaired += await this.#node.resync(sessionIds.slice(start, start + CHUNK));
      }
      if (repaired > 0) this.#node.deps.log.warn({ sessions: repaired }, 'sessions put right');
    }
  }
}
