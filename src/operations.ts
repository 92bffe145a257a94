/** How a node is run: health, drain, its place among the nodes, and the internal port. */
import { setTimeout as sleep } from 'node:timers/promises';
import { configFingerprint } from './config/fingerprint.js';
import type { Config } from './config.js';
import { systemClock } from './lib/clock.js';
import type { Log } from './lib/log.js';
import { NoticeReader } from './lib/notice-log.js';
import { adminKey } from './ops/admin.js';
import { type Drainable, type DrainResult, holdForMs } from './ops/drain.js';
import { createInternalServer, type Readiness } from './ops/health.js';
import { Heartbeat } from './ops/heartbeat.js';
import type { LoadMonitor } from './ops/load.js';
import type { Metrics } from './ops/metrics.js';
import { NodeDrain } from './ops/node-drain.js';
import type { NodeDirective, NodeReport, NodeState } from './ops/ports.js';
import { StoreHealth } from './ops/store-health.js';
import type { Sessions } from './session/sessions.js';
import type { Store } from './store.js';
import type { GatewayServer } from './transport/server.js';
import { version } from './version.js';

/** What clients of a node that they are to leave are told: come back after a moment, not all in the same one. */
const RECONNECT = { afterMs: 100, jitterMs: 1_000 };

export interface OperationsParts {
  bootId: string;
  /** The longest grace period of any namespace. */
  graceMs: number;
  store: Store;
  sessions: Sessions;
  server: GatewayServer;
  load: LoadMonitor;
  metrics: Metrics;
  log: Log;
}

export class Operations {
  readonly #parts: OperationsParts;
  readonly #facts: Pick<NodeReport, 'nodeId' | 'bootId' | 'version' | 'configFingerprint'>;
  readonly #startedAtMs = systemClock.monotonicMs();
  readonly #drain: NodeDrain;
  readonly #storeHealth: StoreHealth;
  readonly #heartbeat: Heartbeat;
  readonly #directives: NoticeReader<NodeDirective>;
  readonly #internal;

  constructor(config: Config, parts: OperationsParts) {
    this.#parts = parts;
    const { bootId, graceMs, log, metrics, server, store } = parts;
    const clock = systemClock;
    const { nodeId, drainMs, drainRate, unreadyWithoutStore: strict } = config;
    this.#facts = { nodeId, bootId, version: version(), configFingerprint: configFingerprint(config) };
    this.#drain = new NodeDrain({
      ...RECONNECT,
      connections: server.connections,
      refuseUpgrades: server.refuseUpgrades,
      acceptUpgrades: server.acceptUpgrades,
      graceMs,
      drainMs,
      drainRate,
      clock,
      log,
      sleep: (ms) => sleep(ms),
    });
    this.#heartbeat = new Heartbeat({ registry: store.nodes, report: () => this.#report(), log });
    this.#storeHealth = new StoreHealth({
      faults: () => this.#faults(),
      answers: () => store.answers(),
      strict,
      clock,
      log,
    });
    this.#directives = new NoticeReader({
      notices: store.directives,
      apply: (directive) => {
        if (directive.bootId === bootId) this.#drain.obey(directive);
      },
      what: 'directives',
      clock,
      log,
    });
    this.#internal = createInternalServer({
      host: config.internalHost,
      port: config.internalPort,
      readiness: () => this.readiness(),
      status: () => this.status(),
      metrics: { contentType: metrics.contentType, render: () => metrics.render() },
      admin: {
        ...(config.adminKey !== undefined && { key: adminKey(config.adminKey) }),
        drain: () => this.drain(),
        undrain: () => this.undrain(),
      },
    });
    const { maxConnections } = config;
    metrics.node.describe({
      version: this.#facts.version,
      maxConnections,
      maxRssBytes: parts.load.report().max_rss_bytes,
    });
    metrics.onRead(() => metrics.node.status(this.status()));
  }

  /** @throws HoldfastError `store_unavailable` */
  async start(): Promise<void> {
    await Promise.all([this.#heartbeat.start(), this.#directives.start()]);
  }

  /** @throws NodeJS.ErrnoException such as EADDRINUSE */
  listen(): Promise<{ port: number }> {
    return this.#internal.listen();
  }

  readiness(): Readiness {
    const { reasons, degraded } = this.#storeHealth.verdict();
    const own = [this.#drain.draining && 'draining', this.#parts.load.overloaded() && 'overloaded'];
    return { reasons: [...own.filter((reason) => reason !== false), ...reasons], degraded };
  }

  /** What /statusz answers. What ends in `_ms` is how long, or how long ago. */
  status() {
    const { load, metrics, server, sessions, store } = this.#parts;
    const { probeAgeMs } = metrics.node;
    const { nodeId, bootId, version, configFingerprint } = this.#facts;
    const readiness = this.readiness();
    const shedding = this.#drain.shedding;
    return {
      node: nodeId,
      boot: bootId,
      version,
      uptime_ms: Math.round(systemClock.monotonicMs() - this.#startedAtMs),
      status: this.#stateOf(readiness),
      ...readiness,
      connections: server.connections().size,
      leases: sessions.leases,
      sessions: sessions.counts(),
      store: { kind: store.kind, reachable: store.reachable(), since_ms: Math.round(this.#storeHealth.sinceMs) },
      pubsub: {
        healthy: store.bus.healthy(),
        ...(probeAgeMs !== undefined && { last_probe_ms: Math.round(probeAgeMs) }),
      },
      drain: this.#drain.status(),
      ...(shedding !== undefined && { rebalance: shedding }),
      load: load.report(),
      config_fingerprint: configFingerprint,
    };
  }

  /** Refuses upgrades and closes every connection; the node stays, and can be brought back by `undrain`. */
  drain(): void {
    this.#drain.drain();
  }

  undrain(): void {
    this.#drain.undrain();
  }

  /** Drains because the process ends. */
  finish(): Promise<DrainResult> {
    return this.#drain.finish();
  }

  /** Sends a connection elsewhere. */
  retire(connection: Drainable): void {
    connection.hint(RECONNECT.afterMs, RECONNECT.jitterMs, 'rebalance');
    void connection.leave(holdForMs({ ...RECONNECT, graceMs: this.#parts.graceMs }));
  }

  async close(): Promise<void> {
    this.#directives.stop();
    this.#storeHealth.stop();
    await Promise.all([this.#internal.close(), this.#heartbeat.stop()]);
  }

  #report(): NodeReport {
    const { server, sessions } = this.#parts;
    const shedding = this.#drain.shedding;
    return {
      ...this.#facts,
      state: this.#stateOf(this.readiness()),
      connections: server.connections().size,
      leases: sessions.leases,
      ...(shedding !== undefined && { shedding }),
    };
  }

  #stateOf({ reasons }: Readiness): NodeState {
    const { state } = this.#drain.status();
    if (state !== 'none') return state;
    return reasons.length === 0 ? 'ready' : 'not_ready';
  }

  #faults(): string[] {
    const { store } = this.#parts;
    if (!store.reachable()) return ['store_unreachable'];
    const faults = [!this.#heartbeat.works && 'store_not_writable', !store.bus.healthy() && 'events_not_delivered'];
    return faults.filter((fault) => fault !== false);
  }
}
