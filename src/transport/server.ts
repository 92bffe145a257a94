/** The gateway's public port. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type Clock, systemClock } from '../lib/clock.js';
import type { Log } from '../lib/log.js';
import { TurnQueue } from '../lib/turn-queue.js';
import type { LoginApi } from '../login/api.js';
import { HoldfastError } from '../protocol/errors.js';
import { AddressLimit, trustedProxies } from './addresses.js';
import type { AuthenticationOptions } from './authenticate.js';
import type { Connection, GatewaySocket } from './connection.js';
import type { ConnectionLimits } from './connection-context.js';
import { httpListener } from './http.js';
import type { OriginPolicy } from './origin.js';
import type { PageMount } from './page.js';
import type { SessionsApi } from './sessions-api.js';
import type { TransportTelemetry } from './telemetry.js';
import { TimerWheel } from './timer-wheel.js';
import { TurnWrites } from './turn-writes.js';
import { upgradeListener } from './upgrade.js';

export interface GatewayServerOptions {
  host: string;
  /** 0 for any free one. */
  port: number;
  nodeId: string;
  sessions: SessionsApi;
  authentication: AuthenticationOptions;
  /** Absent where neither logins nor JWTs are on. */
  logins?: LoginApi;
  /** Whether there are logins beside the application's own JWTs (default: true). */
  managesLogins?: boolean;
  /** The public keys of access tokens, as a JWK set. */
  jwks?: () => object;
  origins: OriginPolicy;
  /** SHA-256 of the backend's API keys. */
  apiKeyHashes: readonly Buffer[];
  /** Addresses and CIDR blocks of the proxies whose X-Forwarded-For is believed. */
  trustedProxies: readonly string[];
  maxConnections: number;
  /** Set where `maxConnections` is what the process may have files for: a few more sockets, and no connection is accepted. */
  maxSockets?: number;
  maxConnectionsPerAddress: number;
  /** How long a client may take to send its request; a connection that sends none is closed too. */
  requestTimeoutMs: number;
  limits: ConnectionLimits;
  /** The client as one script; absent where it was not built. */
  clientScript?: Buffer;
  page: readonly PageMount[];
  /** True while this node should get no more work. */
  overloaded(): boolean;
  /** No connection could be accepted. @returns whether it has been told */
  onAcceptError?(error: unknown): boolean;
  /** A connection is as old as it may get: it is to leave. */
  onAged(connection: Connection): void;
  telemetry: TransportTelemetry;
  log: Log;
  clock?: Clock;
}

export interface GatewayServer {
  /** @throws NodeJS.ErrnoException such as EADDRINUSE */
  listen(): Promise<{ port: number }>;
  /** The open connections. */
  connections(): ReadonlySet<Connection>;
  /** Above it upgrades are refused. */
  readonly maxConnections: number;
  /** As many are open as there are files for. */
  outOfFiles(): boolean;
  /** From now on upgrades are answered 503 with Retry-After; what is open stays open. */
  refuseUpgrades(retryAfterMs: number): void;
  acceptUpgrades(): void;
  /** Ends what is still open and stops listening. */
  close(): Promise<void>;
}

/** A storm of reconnects is longer than the default queue of 511. */
const BACKLOG = 4096;
const WHEEL_TICKS_PER_TIMEOUT = 32;
const MAX_WHEEL_SLOTS = 4096;
const OVERLOAD_RETRY_MS = 5_000;
/** Of the connections that there are files for: below it a node that was full takes new ones again. */
const ROOM_AGAIN = 0.95;

export function createGatewayServer(options: GatewayServerOptions): GatewayServer {
  const { limits, log, requestTimeoutMs, telemetry } = options;
  const connections = new Set<Connection>();
  const refused = new Set<GatewaySocket>();
  const addresses = new AddressLimit(options.maxConnectionsPerAddress);
  const longestMs = Math.max(limits.pongTimeoutMs, limits.pingIntervalMs);
  const shortestMs = Math.min(limits.pongTimeoutMs, limits.pingIntervalMs);
  const tickMs = Math.ceil(Math.max(shortestMs / WHEEL_TICKS_PER_TIMEOUT, longestMs / MAX_WHEEL_SLOTS));
  const wheel = new TimerWheel(tickMs, longestMs);
  let drainRetryMs: number | undefined;
  let outOfFiles = false;

  const http = createServer(
    {
      headersTimeout: requestTimeoutMs,
      requestTimeout: requestTimeoutMs,
      connectionsCheckingInterval: requestTimeoutMs / 4,
      keepAliveTimeout: requestTimeoutMs,
    },
    httpListener(options),
  );

  // An accepted socket that is closed at once costs less than one that cannot be accepted, and leaves files for Redis.
  if (options.maxSockets !== undefined) http.maxConnections = options.maxSockets;

  function noteFiles(): void {
    if (options.maxSockets === undefined) return;
    const { maxConnections } = options;
    outOfFiles = connections.size >= (outOfFiles ? ROOM_AGAIN * maxConnections : maxConnections);
  }

  function unavailable() {
    if (drainRetryMs !== undefined) {
      const error = new HoldfastError('draining', 'This node is draining', { retryAfterMs: drainRetryMs });
      return { reason: 'draining', error } as const;
    }
    if (connections.size < options.maxConnections && !options.overloaded()) return undefined;
    const error = new HoldfastError('overloaded', 'This node is full', { retryAfterMs: OVERLOAD_RETRY_MS });
    return { reason: 'overloaded', error } as const;
  }

  const onUpgrade = upgradeListener({
    ...options,
    clock: options.clock ?? systemClock,
    trusted: trustedProxies(options.trustedProxies),
    addresses,
    wheel,
    pending: { bytes: 0 },
    departures: new TurnQueue(),
    turnWrites: new TurnWrites(),
    unavailable,
    refused,
    onOpen(connection) {
      connections.add(connection);
      noteFiles();
      telemetry.connections(connections.size);
    },
    onGone(connection) {
      addresses.leave(connection.addressSlot);
      connections.delete(connection);
      noteFiles();
      telemetry.connections(connections.size);
    },
  });
  http.on('upgrade', onUpgrade);

  return {
    listen() {
      wheel.start();
      return new Promise((resolve, reject) => {
        http.once('error', reject);
        http.listen({ host: options.host, port: options.port, backlog: BACKLOG }, () => {
          http.off('error', reject);
          http.on('error', (error) => {
            if (options.onAcceptError?.(error) !== true) log.error({ error }, 'listener failed');
          });
          http.on('drop', () => telemetry.refused('file_descriptors'));
          resolve({ port: (http.address() as AddressInfo).port });
        });
      });
    },
    connections: () => connections,
    maxConnections: options.maxConnections,
    outOfFiles: () => outOfFiles,
    refuseUpgrades(retryAfterMs) {
      drainRetryMs = retryAfterMs;
    },
    acceptUpgrades() {
      drainRetryMs = undefined;
    },
    async close() {
      wheel.stop();
      const stopped = new Promise<void>((resolve) => http.close(() => resolve()));
      for (const socket of [...connections, ...refused]) socket.terminate();
      http.closeAllConnections();
      await stopped;
    },
  };
}
