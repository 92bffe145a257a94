import { roughlyMs } from '../lib/backoff.js';
import type { SessionNode } from './session-node.js';

const CHUNK = 500;
const RETRY_MS = 1_000;

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
  #retry: NodeJS.Timeout | undefined;

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
    clearTimeout(this.#retry);
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
        const chunk = sessionIds.slice(start, start + CHUNK);
        repaired += await this.#node.resync(chunk);
        await this.#compareStreams(chunk);
      }
      if (repaired > 0) this.#node.deps.log.warn({ sessions: repaired }, 'sessions put right');
    }
  }

  /** Sees to it that no live stream lacks messages that were published (M3). */
  async #compareStreams(sessionIds: readonly string[]): Promise<void> {
    const { hub, deps } = this.#node;
    const asked = sessionIds.map((sessionId) => {
      const stream = hub.get(sessionId)?.stream;
      return { stream, position: stream?.position };
    });
    try {
      const states = await deps.messages.states(sessionIds);
      for (const [index, { stream, position }] of asked.entries()) {
        const state = states[index];
        if (state === undefined) this.#runSoon();
        else stream?.compare(state, position);
      }
    } catch (error) {
      deps.log.warn({ sessions: sessionIds.length, error }, 'live streams not compared with the store');
      this.#runSoon();
    }
  }

  /** What was missed is not to wait for the next pass. */
  #runSoon(): void {
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => void this.run(), RETRY_MS).unref();
  }
}
