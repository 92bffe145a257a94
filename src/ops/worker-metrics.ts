import { AggregatorRegistry, Registry } from 'prom-client';
import type { MetricsSnapshot } from './worker-channel.js';

function aggregated(snapshots: MetricsSnapshot[]): Registry {
  // Its type asks for an array of metrics where it takes one of such arrays.
  return AggregatorRegistry.aggregate(snapshots);
}

/** The metrics of all workers as those of one process; each metric says what is made of its values, mostly their sum. */
export class WorkerMetrics {
  readonly contentType = Registry.PROMETHEUS_CONTENT_TYPE;
  readonly #last = new Map<number, MetricsSnapshot>();
  /** What workers counted that have ended: a sum that falls would look like a restart to Prometheus. */
  #counted: MetricsSnapshot = [];

  /** In place of what the worker said before. */
  set(worker: number, snapshot: MetricsSnapshot): void {
    this.#last.set(worker, snapshot);
  }

  /** The worker has ended; its successor counts from 0. */
  end(worker: number): void {
    const last = this.#last.get(worker) ?? [];
    this.#last.delete(worker);
    const counted = last.filter(({ type }) => String(type) === 'counter' || String(type) === 'histogram');
    this.#counted = aggregated([this.#counted, counted]).getMetricsAsArray() as unknown as MetricsSnapshot;
  }

  render(): Promise<string> {
    return aggregated([...this.#last.values(), this.#counted]).metrics();
  }
}
