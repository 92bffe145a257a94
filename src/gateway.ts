/** The composition root: the only file that names every part. */
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { openBackend } from './backend/backend.js';
import { parseHookSecrets } from './config/hook-settings.js';
import type { Config } from './config.js';
import { macKeys, parseSecrets } from './crypto/secrets.js';
import { systemClock } from './lib/clock.js';
import type { Log } from './lib/log.js';
import { type LoginParts, loginTimings, openLogins } from './logins.js';
import { gracePeriods, hasPresence, rulesOf, settingsOf } from './namespaces.js';
import { Operations } from './operations.js';
import { ClockWatch } from './ops/clock-watch.js';
import { connectionsWithin, fileLimit } from './ops/file-limit.js';
import { FileShortage } from './ops/file-shortage.js';
import { LoadMonitor, maxRssBytesOf } from './ops/load.js';
import { Metrics } from './ops/metrics.js';
import type { MetricsSnapshot } from './ops/worker-channel.js';
import { ReconnectTokens } from './session/reconnect-token.js';
import { ALL_RIGHTS, OPEN_RIGHTS, type RightsRule, rightsOf, type SessionRights } from './session/rights.js';
import { leaseMsOf } from './session/session-node.js';
import { Sessions } from './session/sessions.js';
import { openStore, sweepEveryMs, timingsOf } from './store.js';
import type { AuthenticationOptions } from './transport/authenticate.js';
import { frameEncoder } from './transport/frame.js';
import { pageMounts } from './transport/page.js';
import { createGatewayServer } from './transport/server.js';

export interface Gateway {
  /** Host and port of the public port, as it listens. */
  readonly address: string;
  readonly internalAddress: string;
  readonly operations: Pick<Operations, 'readiness' | 'status' | 'drain' | 'undrain'>;
  /** The values of its metrics now. */
  metrics(): Promise<MetricsSnapshot>;
  /** Refuses upgrades, hands every session over and closes every connection; within `drainMs`. */
  drain(): Promise<void>;
  /** Stops at once; sessions that are still owned lapse. */
  close(): Promise<void>;
}

export interface GatewayExtras {
  log: Log;
  /** Serves the page on `/`, and takes connections from pages of this machine. */
  page: boolean;
  /** Everyone may do everything. */
  openRights: boolean;
  /** One of several processes that share the public port; the internal port is not its own. */
  worker?: boolean;
}

const RECONCILE_EVERY_MS = 30_000;
const MAX_EVENT_LOOP_DELAY_MS = 500;
/** How long a client may take to send its request. */
const REQUEST_TIMEOUT_MS = 10_000;
const MAX_BAD_FRAMES = 20;
const MAX_PENDING_REQUESTS = 256;
/** Sockets beyond the last connection that there are files for, so that upgrades can be answered 503. */
const REFUSED_AT_ONCE = 16;

/**
 * Starts a node and resolves when it takes connections.
 * @throws RedisRequirementError, NodeJS.ErrnoException (EADDRINUSE …)
 */
export async function startGateway(config: Config, extras: GatewayExtras): Promise<Gateway> {
  const { log } = extras;
  const metrics = new Metrics();
  const graceMs = gracePeriods(config);
  const timings = { sessions: timingsOf(graceMs), logins: loginTimings(config) };
  const store = await openStore(config, timings, { log, telemetry: metrics });
  const files = new FileShortage(log);
  const load = new LoadMonitor(
    {
      maxEventLoopDelayMs: MAX_EVENT_LOOP_DELAY_MS,
      maxRssBytes: maxRssBytesOf(config.maxRssBytes, config.workers),
    },
    (error) => files.noticed(error),
  );
  const room = roomFor(config, extras);
  // The leases go by the system's: they have to notice when it jumps.
  const clockWatch = new ClockWatch({ log });
  const { clock } = clockWatch;
  const bootId = randomUUID();
  const backend = openBackend({
    authorizeUrl: config.authorizeUrl,
    messageUrl: config.messageUrl,
    eventsUrl: config.eventsUrl,
    secrets: config.hookSecret === undefined ? [] : parseHookSecrets(config.hookSecret),
    timeoutMs: config.hookTimeoutMs,
    concurrency: config.hookConcurrency,
    authorizeTtlMs: config.authorizeTtlMs,
    outbox: store.outbox,
    clock,
    log,
    telemetry: metrics,
  });

  const secrets = parseSecrets(config.secret ?? randomBytes(32).toString('base64url'));
  const sessions = new Sessions({
    store: store.ownership,
    messages: store.messages,
    presence: store.presence,
    hasPresence: hasPresence(config),
    application: backend.application,
    frames: frameEncoder(config.compressAboveBytes),
    lagBytes: config.sendQueueBytes / 2,
    bus: store.bus,
    lock: store.lock,
    tokens: new ReconnectTokens({
      mac: macKeys(secrets, 'reconnect-token'),
      successor: macKeys(secrets, 'reconnect-successor'),
    }),
    clock: systemClock,
    log,
    telemetry: metrics,
    nodeId: config.nodeId,
    bootId,
    settingsOf: settingsOf(config),
    shortestLeaseMs: leaseMsOf(graceMs.shortest),
    sweepEveryMs: sweepEveryMs(graceMs.shortest),
    reconcileEveryMs: RECONCILE_EVERY_MS,
    onGranted(subscriber, owned) {
      if (subscriber.login === undefined) return;
      store.logins.store.noteOwned(subscriber.login.handle, owned).catch((error: unknown) => {
        log.warn({ error }, 'session not noted for its login; after a revocation it may be held for its grace period');
      });
    },
  });
  const login = openLogins(config, store.logins, {
    secrets,
    clock,
    log,
    telemetry: metrics,
    release: (owned) => sessions.releaseOwned(owned),
  });

  const server = createGatewayServer({
    host: config.host,
    port: config.port,
    nodeId: config.nodeId,
    sessions,
    authentication: authenticationOf(config, extras.openRights, login),
    ...(login !== undefined && { logins: login.logins, jwks: login.jwks }),
    managesLogins: config.auth?.includes('login') === true,
    origins: { allowed: config.allowedOrigins, allowLoopback: extras.page },
    apiKeyHashes: config.apiKey === undefined ? [] : [createHash('sha256').update(config.apiKey).digest()],
    trustedProxies: config.trustedProxies,
    requestTimeoutMs: REQUEST_TIMEOUT_MS,
    ...room,
    maxConnectionsPerAddress: config.maxConnectionsPerAddress,
    limits: {
      maxPayloadBytes: config.maxPayloadBytes,
      maxSubscriptions: config.maxSubscriptions,
      maxPendingRequests: MAX_PENDING_REQUESTS,
      maxQueueBytes: config.sendQueueBytes,
      compressAboveBytes: config.compressAboveBytes,
      maxBadFrames: MAX_BAD_FRAMES,
      frames: { perSecond: config.messagesPerSecond, burst: config.messageBurst },
      batch: { perSecond: config.messagesPerSecond, burst: Math.max(config.messageBurst, config.maxSubscriptions) },
      pingIntervalMs: config.pingIntervalMs,
      pongTimeoutMs: config.pongTimeoutMs,
      renewalMarginMs: config.renewalMarginMs,
      maxAgeMs: config.maxConnectionAgeMs,
    },
    ...clientScript(),
    page: extras.page ? pageMounts(new URL('.', import.meta.url)) : [],
    overloaded: () => load.overloaded() || files.lasts,
    onAcceptError: (error) => files.noticed(error),
    clock,
    onAged: (connection) => operations.retire(connection),
    telemetry: metrics,
    log,
  });

  const operations: Operations = new Operations(config, {
    bootId,
    graceMs,
    store,
    sessions,
    server,
    load,
    files,
    clock: clockWatch,
    metrics,
    log,
  });
  metrics.onRead(() => {
    sessions.report();
    login?.live.report();
  });

  async function stop(): Promise<void> {
    load.stop();
    files.stop();
    await Promise.allSettled([server.close(), operations.close()]);
    await login?.close();
    await sessions.close();
    await backend.close();
    await store.close();
  }

  sessions.start();
  backend.start();
  try {
    await login?.live.start();
    await operations.start();
    const { port } = await server.listen();
    const { port: internalPort } = extras.worker === true ? { port: config.internalPort } : await operations.listen();
    const address = hostPort(config.host, port);
    const internalAddress = hostPort(config.internalHost, internalPort);
    log.info({ address, internal_address: internalAddress, store: config.redisUrl ? 'redis' : 'memory' }, 'listening');
    return {
      address,
      internalAddress,
      operations,
      metrics: () => metrics.registry.getMetricsAsJSON(),
      async drain() {
        await operations.finish();
      },
      close: stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** How many connections the process may have files for, which can be fewer than the settings say. */
function roomFor(config: Config, { log, page }: GatewayExtras): { maxConnections: number; maxSockets?: number } {
  const limit = fileLimit();
  const asked = [config.authorizeUrl, config.messageUrl, config.eventsUrl].some((url) => url !== undefined);
  const maxConnections = connectionsWithin(config.maxConnections, limit, asked ? config.hookConcurrency : 0);
  if (maxConnections === config.maxConnections) return { maxConnections };
  const sockets = { maxConnections, maxSockets: maxConnections + REFUSED_AT_ONCE };
  // One person's browser needs few.
  if (page) return sockets;
  const fields = {
    code: 'file_descriptors',
    limit,
    connections: maxConnections,
    max_connections: config.maxConnections,
  };
  log.warn(fields, 'too few files may be open for --max-connections: raise ulimit -n, or lower --max-connections');
  return sockets;
}

function authenticationOf(config: Config, openRights: boolean, login: LoginParts | undefined): AuthenticationOptions {
  const rules = rulesOf(config);
  const rightsFor = (principal: string, claims: readonly RightsRule[]): SessionRights => {
    if (openRights) return ALL_RIGHTS;
    return config.access === 'open' ? OPEN_RIGHTS : rightsOf(principal, claims, rules);
  };
  const { accessTokenTtlMs, ticketInUrl } = config;
  return {
    anonymous: config.auth?.includes('anonymous') === true,
    rightsFor,
    ...(login !== undefined && { credentials: { ...login, accessTokenTtlMs, ticketInUrl } }),
  };
}

/** It lies beside this file once that is built, and is small. */
function clientScript(): { clientScript?: Buffer } {
  const path = new URL('./client/holdfast.js', import.meta.url);
  return existsSync(path) ? { clientScript: readFileSync(path) } : {};
}

function hostPort(host: string, port: number): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`;
}
