/** The gauges that say how a node is, beside what it counts. */
import type { Instruments } from './instruments.js';

/** What a node is, from its start on. */
interface NodeFacts {
  version: string;
  maxConnections: number;
  /** Resident memory beyond which upgrades are refused; 0: no such limit. */
  maxRssBytes: number;
}

/** How a node is now: what /statusz answers, or the part of it that is counted here. */
interface NodeStatus {
  /** Why it is not ready; empty while it is. */
  reasons: readonly string[];
  /** What does not work and would not elsewhere. */
  degraded: readonly string[];
  store: { reachable: boolean };
  pubsub: { healthy: boolean };
  clock?: { ahead_ms: number };
  drain: { state: 'none' | 'draining' | 'drained'; left: number };
}

export class NodeMetrics {
  readonly #build;
  readonly #maxConnections;
  readonly #maxRss;
  readonly #ready;
  readonly #notReady;
  readonly #storeReachable;
  readonly #pubsubHealthy;
  readonly #probeAge;
  readonly #clockOffset;
  readonly #secretsDiffer;
  readonly #draining;
  readonly #drainLeft;
  #probedAtMs: number | undefined;

  /** @param beforeRead runs before any metric that is made from now on is read */
  constructor(make: Instruments, beforeRead: () => void) {
    this.#build = make.gauge('build_info', 'Always 1; the version is in the label', {
      labelNames: ['version'],
      aggregator: 'first',
      collect: beforeRead,
    });
    this.#maxConnections = make.gauge('max_connections', 'Connections above which upgrades are refused');
    this.#maxRss = make.gauge('max_resident_memory_bytes', 'Memory above which upgrades are refused; 0: no such limit');
    this.#ready = make.gauge('ready', 'Whether the node takes new connections');
    this.#notReady = make.gauge('not_ready', 'Why the node takes no new connections', { labelNames: ['reason'] });
    this.#storeReachable = make.gauge('store_reachable', 'Whether the node reaches its store', { aggregator: 'min' });
    this.#pubsubHealthy = make.gauge('pubsub_healthy', 'Whether published events are known to arrive', {
      aggregator: 'min',
    });
    this.#probeAge = make.gauge('probe_age_seconds', 'How long ago a delivery probe last came back', {
      aggregator: 'max',
    });
    this.#secretsDiffer = make.gauge('secrets_differ', 'Whether there are nodes with other secrets', {
      aggregator: 'max',
    });
    this.#clockOffset = make.gauge('clock_offset_seconds', "How far the node's clock is ahead of the store's", {
      aggregator: 'average',
    });
    this.#draining = make.gauge('draining', 'Whether the node drains or has drained');
    this.#drainLeft = make.gauge('drain_connections', 'Connections that a drain has yet to close');
    // Until there is something to say: a memory store is never probed.
    this.#probeAge.remove();
    this.#clockOffset.remove();
  }

  describe({ version, maxConnections, maxRssBytes }: NodeFacts): void {
    this.#build.set({ version }, 1);
    this.#maxConnections.set(maxConnections);
    this.#maxRss.set(maxRssBytes);
  }

  status({ reasons, degraded, store, pubsub, clock, drain }: NodeStatus): void {
    this.#ready.set(Number(reasons.length === 0));
    this.#notReady.reset();
    for (const reason of reasons) this.#notReady.set({ reason }, 1);
    this.#storeReachable.set(Number(store.reachable));
    this.#pubsubHealthy.set(Number(pubsub.healthy));
    this.#draining.set(Number(drain.state !== 'none'));
    this.#drainLeft.set(drain.left);
    this.#secretsDiffer.set(Number([...reasons, ...degraded].includes('secrets_differ')));
    if (clock !== undefined) this.#clockOffset.set(clock.ahead_ms / 1000);
    const { probeAgeMs } = this;
    if (probeAgeMs !== undefined) this.#probeAge.set(probeAgeMs / 1000);
  }

  /** How long ago a delivery probe last came back, if one ever has. */
  get probeAgeMs(): number | undefined {
    return this.#probedAtMs === undefined ? undefined : performance.now() - this.#probedAtMs;
  }

  probed(): void {
    this.#probedAtMs = performance.now();
  }
}
