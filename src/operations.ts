/** How a node is run: health, drain, its place among the nodes, and the internal port. */
import { setTimeout as sleep } from 'node:timers/promises';
import { configFingerprint, keyPrints } from './config/fingerprint.js';
import type { Config } from './config.js';
import { systemClock } from './lib/clock.js';
import type { Log } from './lib/log.js';
import { NoticeReader } from './lib/notice-log.js';
import { adminKey } from './ops/admin.js';
import type { ClockWatch } from './ops/clock-watch.js';
import { type Drainable, type DrainResult, dismiss, holdForMs } from './ops/drain.js';
import type { FileShortage } from './ops/file-shortage.js';
import { createInternalServer, type Readiness } from './ops/health.js';
import { Heartbeat } from './ops/heartbeat.js';
import type { LoadMonitor } from './ops/load.js';
import type { Metrics } from './ops/metrics.js';
import { NodeDrain } from './ops/node-drain.js';
import { Peers } from './ops/peers.js';
import type { Advice, NodeDirective, NodeReport, NodeState } from './ops/ports.js';
import { StoreHealth } from './ops/store-health.js';
import type { Sessions } from './session/sessions.js';
import type { Store } from './store.js';
import type { GatewayServer } from './transport/server.js';
import { version } from './version.js';

export interface OperationsParts {
  bootId: string;
  /** Over all namespaces. */
  graceMs: { shortest: number; longest: number };
  store: Store;
  sessions: Sessions;
  server: GatewayServer;
  load: LoadMonitor;
  files: FileShortage;
  clock: ClockWatch;
  metrics: Metrics;
  log: Log;
}

export class Operations {
  readonly #parts: OperationsParts;
  readonly #facts: Pick<NodeReport, 'nodeId' | 'bootId' | 'version' | 'configFingerprint' | 'keys'>;
  readonly #startedAtMs = systemClock.monotonicMs();
  readonly #drain: NodeDrain;
  readonly #storeHealth: StoreHealth;
  readonly #heartbeat: Heartbeat;
  readonly #peers: Peers;
  readonly #directives: NoticeReader<NodeDirective>;
  readonly #internal;
  /** Why the store last refused what was written, since it last took something. */
  #refusal: Advice | undefined;

  constructor(config: Config, parts: OperationsParts) {
    this.#parts = parts;
    const { bootId, graceMs, log, metrics, server, store } = parts;
    const clock = systemClock;
    const { nodeId, drainMs, drainRate, unreadyWithoutStore: strict } = config;
    const keys = keyPrints(config);
    const fingerprints = { configFingerprint: configFingerprint(config), ...(keys && { keys }) };
    this.#facts = { nodeId, bootId, version: version(), ...fingerprints };
    this.#peers = new Peers({ registry: store.nodes, bootId, keys, log });
    this.#drain = new NodeDrain({
      connections: server.connections,
      refuseUpgrades: server.refuseUpgrades,
      acceptUpgrades: server.acceptUpgrades,
      graceMs: graceMs.longest,
      shortestGraceMs: graceMs.shortest,
      drainMs,
      drainRate,
      clock,
      log,
      sleep: (ms) => sleep(ms),
    });
    this.#heartbeat = new Heartbeat({ registry: store.nodes, report: () => this.#report(), clock: parts.clock, log });
    this.#storeHealth = new StoreHealth({
      faults: () => this.#faults(),
      advice: () => this.#advice(),
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
      onError: (error) => {
        if (!parts.files.noticed(error)) log.error({ error }, 'internal port failed');
      },
      admin: {
        ...(config.adminKey !== undefined && { key: adminKey(config.adminKey) }),
        drain: () => this.drain(),
        undrain: () => this.undrain(),
      },
    });
    metrics.node.describe({
      version: this.#facts.version,
      maxConnections: server.maxConnections,
      maxRssBytes: parts.load.report().max_rss_bytes,
    });
    metrics.onRead(() => metrics.node.status(this.status()));
  }

  /** @throws HoldfastError `store_unavailable` */
  async start(): Promise<void> {
    await Promise.all([this.#heartbeat.start().then(() => this.#peers.start()), this.#directives.start()]);
  }

  /** @throws NodeJS.ErrnoException such as EADDRINUSE */
  listen(): Promise<{ port: number }> {
    return this.#internal.listen();
  }

  readiness(): Readiness {
    const verdicts = [this.#storeHealth.verdict(), this.#peers.verdict()];
    const { files, load, server } = this.#parts;
    const own = [
      this.#drain.draining && 'draining',
      load.overloaded() && 'overloaded',
      (files.lasts || server.outOfFiles()) && 'file_descriptors',
    ];
    return {
      reasons: [...own.filter((reason) => reason !== false), ...verdicts.flatMap(({ reasons }) => reasons)],
      degraded: verdicts.flatMap(({ degraded }) => degraded),
    };
  }

  /** What /statusz answers. What ends in `_ms` is how long, or how long ago. */
  status() {
    const { clock, load, metrics, server, sessions, store } = this.#parts;
    const { probeAgeMs } = metrics.node;
    const { nodeId, bootId, version, configFingerprint } = this.#facts;
    const readiness = this.readiness();
    const shedding = this.#drain.shedding;
    const advice = this.#faults().length === 0 ? undefined : this.#advice();
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
      store: {
        kind: store.kind,
        reachable: store.reachable(),
        since_ms: Math.round(this.#storeHealth.sinceMs),
        ...(advice !== undefined && { trouble: advice }),
      },
      // Ahead of the store's; negative: behind.
      ...(clock.aheadMs !== undefined && { clock: { ahead_ms: clock.aheadMs } }),
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
    void dismiss(connection, 'rebalance', holdForMs(this.#parts.graceMs.longest));
  }

  async close(): Promise<void> {
    this.#directives.stop();
    this.#storeHealth.stop();
    this.#peers.stop();
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
    const heartbeat = this.#heartbeat;
    if (!store.reachable()) {
      heartbeat.doubt();
      return ['store_unreachable'];
    }
    const faults = [
      heartbeat.failure !== undefined && 'store_not_writable',
      heartbeat.failure === undefined && !heartbeat.proven && 'store_unreachable',
      !store.bus.healthy() && 'events_not_delivered',
    ];
    return faults.filter((fault) => fault !== false);
  }

  #advice(): Advice | undefined {
    const { store } = this.#parts;
    const { failure } = this.#heartbeat;
    const found = failure === undefined ? undefined : store.advice(failure);
    // Each refused write of a replica costs the connection, and then nothing can be written for another reason.
    if (found?.code !== 'redis_unreachable') this.#refusal = found;
    return this.#refusal ?? store.advice() ?? found;
  }
}
