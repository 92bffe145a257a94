import { type Aggregator, Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';

const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** Default metrics that are gauges named `_total`, which Prometheus reserves for counters. */
const MISNAMED = ['nodejs_active_handles_total', 'nodejs_active_requests_total', 'nodejs_active_resources_total'];

interface GaugeOptions {
  labelNames?: string[];
  /** What is made of the values of several workers of one node: their sum, unless set. */
  aggregator?: Aggregator;
  /** Runs before the gauge is read, and so before all that were made after it. */
  collect?: () => void;
}

/** Makes the metrics of one registry, whose names all begin with `holdfast_`. */
export class Instruments {
  readonly registry = new Registry();

  constructor() {
    collectDefaultMetrics({ register: this.registry });
    for (const name of MISNAMED) this.registry.removeSingleMetric(name);
  }

  counter(name: string, help: string, ...labelNames: string[]): Counter {
    return new Counter({ ...this.#named(name, help), labelNames });
  }

  gauge(name: string, help: string, options: GaugeOptions = {}): Gauge {
    return new Gauge({ ...this.#named(name, help), ...options });
  }

  histogram(name: string, help: string, ...labelNames: string[]): Histogram {
    return new Histogram({ ...this.#named(name, help), labelNames, buckets: SECONDS });
  }

  /** A counter with series for all its values from the start: the first increment of a new series is in no rate. */
  counterOf(values: readonly string[], name: string, help: string, labelName: string): Counter {
    const counter = this.counter(name, help, labelName);
    for (const value of values) counter.inc({ [labelName]: value }, 0);
    return counter;
  }

  #named(name: string, help: string) {
    return { name: `holdfast_${name}`, help, registers: [this.registry] };
  }
}
