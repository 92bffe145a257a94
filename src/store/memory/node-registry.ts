import type { Clock } from '../../lib/clock.js';
import { FORGET_AFTER_MS, type ListedNode, type NodeRef, type NodeRegistry, type NodeReport } from '../../ops/ports.js';
import { byName } from '../nodes.js';

/** The nodes of one process: itself. */
export class MemoryNodeRegistry implements NodeRegistry {
  readonly #clock: Clock;
  /** By boot id. */
  readonly #nodes = new Map<string, { report: NodeReport; heardAtMs: number }>();

  constructor({ clock }: { clock: Clock }) {
    this.#clock = clock;
  }

  async beat(report: NodeReport): Promise<number> {
    this.#nodes.set(report.bootId, { report: { ...report }, heardAtMs: this.#clock.monotonicMs() });
    this.#forget();
    return this.#clock.wallMs();
  }

  async leave({ bootId }: NodeRef): Promise<void> {
    this.#nodes.delete(bootId);
  }

  async list(): Promise<ListedNode[]> {
    this.#forget();
    const nowMs = this.#clock.monotonicMs();
    const nodes = [...this.#nodes.values()].map(({ report, heardAtMs }) =>
      Object.assign({ silentMs: nowMs - heardAtMs }, report),
    );
    return nodes.sort(byName);
  }

  #forget(): void {
    const endMs = this.#clock.monotonicMs() - FORGET_AFTER_MS;
    for (const [bootId, { heardAtMs }] of this.#nodes) if (heardAtMs <= endMs) this.#nodes.delete(bootId);
  }
}
