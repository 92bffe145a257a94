import { Cluster, Redis, type RedisOptions } from 'ioredis';
import { equalJitterMs } from '../../lib/backoff.js';
import type { Log } from '../../lib/log.js';
import { coalesceWrites } from './coalesce.js';
import { ErrorLog } from './error-log.js';
import { Keys } from './keys.js';
import { connectFault, firstReady } from './requirements.js';
import { revive } from './revive.js';
import { sentinelConnector } from './sentinel-connector.js';
import type { StoreTelemetry } from './telemetry.js';
import { parseRedisUrl, type RedisTarget } from './url.js';

export type RedisClient = Redis | Cluster;

export interface RedisConnectionOptions {
  /** What every key and channel begins with. */
  prefix: string;
  log: Log;
  telemetry: StoreTelemetry;
  /** How long the first connection may take; 5000 unless given. */
  connectWithinMs?: number;
}

/** A way to one Redis deployment, and what all parts of the store share. */
export interface RedisConnection {
  readonly kind: RedisTarget['kind'];
  /** Fails within about a second while Redis is away, and reconnects by itself for ever. */
  readonly commands: RedisClient;
  readonly keys: Keys;
  readonly log: Log;
  readonly telemetry: StoreTelemetry;
  /** Of this connection, and of those for subscriptions. */
  lastError(): Error | undefined;
  /** The connections to the masters that are known now. */
  masters(): Redis[];
  close(): Promise<void>;
}

const COMMAND_TIMEOUT_MS = 1000;
const CONNECT_TIMEOUT_MS = 2000;
/** A connection that went dead silently would otherwise be kept for the minutes that TCP takes to give up. */
const SOCKET_TIMEOUT_MS = 2000;
const FIRST_CONNECT_MS = 5000;
/** While Redis loads its data it is asked this often. Its own estimate, which ioredis takes, is a second or more. */
const LOADING_RETRY_MS = 100;
/** How much later than Redis a node is back, at most. */
const MAX_RECONNECT_DELAY_MS = 500;

function reconnectDelay(times: number): number {
  return equalJitterMs(Math.min(25 * 2 ** times, MAX_RECONNECT_DELAY_MS));
}

/** Fails fast and never resends by itself: only the caller knows whether a command may be repeated. */
export function nodeOptions({ username, password, tls }: RedisTarget) {
  return {
    connectionName: 'holdfast',
    connectTimeout: CONNECT_TIMEOUT_MS,
    commandTimeout: COMMAND_TIMEOUT_MS,
    socketTimeout: SOCKET_TIMEOUT_MS,
    maxRetriesPerRequest: 0,
    maxLoadingRetryTime: LOADING_RETRY_MS,
    // Faster to parse than RESP3, of which nothing is used here.
    protocol: 2,
    ...(username !== undefined && { username }),
    ...(password !== undefined && { password }),
    ...(tls && { tls: {} }),
  } as const satisfies RedisOptions;
}

/** Of a client that connects when it is told to, and does not try again. */
export const ONCE = {
  lazyConnect: true,
  retryStrategy: () => null,
  sentinelRetryStrategy: () => null,
  failoverDetector: false,
} as const satisfies RedisOptions;

export function createSingle(target: RedisTarget, overrides: typeof ONCE | object = {}): Redis {
  const options = {
    ...nodeOptions(target),
    db: target.db,
    enableOfflineQueue: false,
    retryStrategy: reconnectDelay,
    // A master that became a replica refuses writes: look for the new one.
    reconnectOnError: (error: Error) => error.message.startsWith('READONLY'),
  };
  const { nodes, name, tls, sentinelUsername, sentinelPassword } = target;
  if (target.kind === 'standalone') return new Redis({ ...options, ...nodes[0], ...overrides });
  return new Redis({
    ...options,
    sentinels: [...nodes],
    name,
    failoverDetector: true,
    sentinelRetryStrategy: reconnectDelay,
    sentinelReconnectStrategy: reconnectDelay,
    sentinelCommandTimeout: COMMAND_TIMEOUT_MS,
    ...(sentinelUsername !== undefined && { sentinelUsername }),
    ...(sentinelPassword !== undefined && { sentinelPassword }),
    ...(tls && { enableTLSForSentinelMode: true, sentinelTLS: {} }),
    ...overrides,
  });
}

/** Subscribers inherit it: they are duplicates of the client for commands. */
function listeningTo({ kind }: RedisTarget, errors: ErrorLog): RedisOptions {
  return kind === 'sentinel' ? { Connector: sentinelConnector((error) => errors.report(error)) } : {};
}

function createCluster(target: RedisTarget): Cluster {
  return new Cluster([...target.nodes], {
    enableOfflineQueue: false,
    clusterRetryStrategy: reconnectDelay,
    retryDelayOnFailover: 0,
    retryDelayOnClusterDown: 0,
    retryDelayOnTryAgain: 50,
    maxRedirections: 8,
    slotsRefreshTimeout: CONNECT_TIMEOUT_MS,
    slotsRefreshInterval: 2000,
    redisOptions: nodeOptions(target),
  });
}

/** A cluster client opens the connection to a master at its first command, which fails before the connection stands. */
async function openAll(cluster: Cluster): Promise<void> {
  const waiting = cluster.nodes('master').filter(({ status }) => status === 'wait');
  await Promise.allSettled(waiting.map((master) => master.connect()));
}

/**
 * Connects and waits until commands can be sent.
 * @param url see `REDIS_URL_FORMS`
 * @throws TypeError on a bad URL or prefix; RedisRequirementError, a line for the operator, when there is no connecting
 */
export async function connectRedis(url: string, options: RedisConnectionOptions): Promise<RedisConnection> {
  const target = parseRedisUrl(url);
  const keys = new Keys(options.prefix);
  const { log, telemetry, connectWithinMs = FIRST_CONNECT_MS } = options;
  const errors = new ErrorLog(log, telemetry);
  const commands =
    target.kind === 'cluster' ? createCluster(target) : createSingle(target, listeningTo(target, errors));
  errors.watch(commands);
  if (commands instanceof Cluster) commands.on('+node', coalesceWrites);
  else coalesceWrites(commands);
  try {
    await firstReady(commands, connectWithinMs);
    if (commands instanceof Cluster) await openAll(commands);
  } catch (error) {
    commands.disconnect();
    throw connectFault(error, target);
  }
  errors.begin();
  const letGo = revive(commands, reconnectDelay);
  return {
    kind: target.kind,
    commands,
    keys,
    log,
    telemetry,
    lastError: () => errors.last,
    masters: () => (commands instanceof Cluster ? commands.nodes('master') : [commands]),
    close: async () => {
      letGo();
      commands.disconnect();
    },
  };
}
