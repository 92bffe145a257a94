import { setMaxListeners } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type { GatewayCluster } from '../../test/support/cluster.js';
import type { GatewayProcess } from '../../test/support/gateway-process.js';
import { Calls } from './calls.js';
import { Ledger } from './ledger.js';

/** How long a caller waits before it tries again: short, so that the figures are the gateway's. */
export const RETRY_MS = 100;

/** What all callers of a load share. */
export class World {
  readonly cluster: GatewayCluster;
  readonly calls = new Calls();
  readonly ledger = new Ledger();
  readonly #stop = new AbortController();
  #turn = 0;

  constructor(cluster: GatewayCluster) {
    this.cluster = cluster;
    // Every pause of every caller listens.
    setMaxListeners(0, this.#stop.signal);
  }

  get stopped(): boolean {
    return this.#stop.signal.aborted;
  }

  /** Each caller ends with the call that it makes. */
  stop(): void {
    this.#stop.abort();
  }

  /** The nodes in turn. */
  anyNode(): GatewayProcess {
    return this.cluster.node(this.#turn++ % this.cluster.nodes.length);
  }

  /** Ends early, without an error, when the load stops. */
  async pause(ms: number): Promise<void> {
    await sleep(Math.max(0, ms), undefined, this.#stop).catch(() => {});
  }

  /** Calls `work` every `periodMs`, from a random moment of the first period on; at once when it is late. */
  async repeat(periodMs: number, work: () => Promise<void>): Promise<void> {
    let dueMs = performance.now() + Math.random() * periodMs;
    while (!this.stopped) {
      await this.pause(dueMs - performance.now());
      if (this.stopped) return;
      await work();
      dueMs = Math.max(dueMs + periodMs, performance.now());
    }
  }
}
