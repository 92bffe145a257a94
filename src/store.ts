import type { Config } from './config.js';
import { systemClock } from './lib/clock.js';
import type { Log } from './lib/log.js';
import type {
  ControlLog,
  GrantLock,
  LoginStore,
  LoginTimings,
  OneTimeStore,
  PrincipalMarks,
  UpstreamGrants,
} from './login/ports.js';
import type { OwnershipStore, OwnershipTimings, SessionBus, SessionLock } from './session/ports.js';
import { leaseMsOf } from './session/session-node.js';
import { MemoryBus } from './store/memory/bus.js';
import { MemoryControlLog } from './store/memory/control-log.js';
import { MemoryLock, upstreamBusy } from './store/memory/lock.js';
import { MemoryLoginStore } from './store/memory/login-store.js';
import { MemoryOneTimeStore } from './store/memory/one-time-store.js';
import { MemoryOwnershipStore } from './store/memory/ownership-store.js';
import { MemoryPrincipalMarks } from './store/memory/principal-marks.js';
import { MemoryUpstreamGrants } from './store/memory/upstream-grants.js';
import { RedisBus } from './store/redis/bus.js';
import { connectRedis, type RedisConnection } from './store/redis/client.js';
import { RedisControlLog } from './store/redis/control-log.js';
import { RedisLock, UPSTREAM } from './store/redis/lock.js';
import { RedisLoginStore } from './store/redis/login-store.js';
import { RedisOneTimeStore } from './store/redis/one-time-store.js';
import { RedisOwnershipStore } from './store/redis/ownership-store.js';
import { RedisPrincipalMarks } from './store/redis/principal-marks.js';
import { checkRequirements } from './store/redis/requirements.js';
import type { StoreTelemetry } from './store/redis/telemetry.js';
import { RedisUpstreamGrants } from './store/redis/upstream-grants.js';

/** What logins keep. */
export interface LoginStores {
  store: LoginStore;
  control: ControlLog;
  oneTime: OneTimeStore;
  marks: PrincipalMarks;
  grants: UpstreamGrants;
  grantLock: GrantLock;
}

export interface Store {
  logins: LoginStores;
  ownership: OwnershipStore;
  bus: SessionBus;
  lock: SessionLock;
  /** True while commands get through. */
  reachable(): boolean;
  close(): Promise<void>;
}

const HOUR_MS = 3_600_000;

/** How often a node sweeps: often enough that a lapse is noticed within a tenth of the shortest grace period. */
export function sweepEveryMs(graceMs: number): number {
  return Math.min(1_000, Math.max(50, Math.floor(graceMs / 10)));
}

/** @param graceMs the shortest and the longest grace period of any namespace */
export function timingsOf(graceMs: { shortest: number; longest: number }): OwnershipTimings {
  const shortestLeaseMs = leaseMsOf(graceMs.shortest);
  return {
    // Shorter than what a lease has left between two renewals, so that no outage goes unnoticed that could lapse one;
    // longer than Redis may be slow for without being away.
    maxSweepGapMs: Math.min(Math.max(2_000, shortestLeaseMs / 4), shortestLeaseMs / 2),
    attemptWindowMs: 30_000,
    retentionMs: HOUR_MS + leaseMsOf(graceMs.longest),
    handoverPatienceMs: 1_000,
    busyExtensionMs: 5_000,
  };
}

/**
 * The store that `redisUrl` names, or the embedded one.
 * @throws RedisRequirementError with a line for the operator
 */
export async function openStore(
  config: Pick<Config, 'redisUrl' | 'redisPrefix'>,
  timings: OwnershipTimings & LoginTimings,
  parts: { log: Log; telemetry: StoreTelemetry },
): Promise<Store> {
  if (config.redisUrl === undefined) {
    const bus = new MemoryBus();
    const lock = new MemoryLock();
    const ownership = new MemoryOwnershipStore({ clock: systemClock, timings, bus, lock });
    return { logins: memoryLogins(timings), ownership, bus, lock, reachable: () => true, close: () => bus.close() };
  }
  const connection = await connectRedis(config.redisUrl, { prefix: config.redisPrefix, ...parts });
  try {
    await checkRequirements(connection);
  } catch (error) {
    await connection.close();
    throw error;
  }
  const bus = new RedisBus(connection);
  return {
    logins: redisLogins(connection, timings),
    ownership: new RedisOwnershipStore(connection, timings, parts.telemetry),
    bus,
    lock: new RedisLock(connection),
    reachable: () => connection.commands.status === 'ready',
    close: async () => {
      await bus.close();
      await connection.close();
    },
  };
}

function memoryLogins(timings: LoginTimings): LoginStores {
  const clock = systemClock;
  const store = new MemoryLoginStore({ clock, timings });
  return {
    store,
    control: new MemoryControlLog(),
    oneTime: new MemoryOneTimeStore({ clock }),
    marks: new MemoryPrincipalMarks({ clock }),
    grants: new MemoryUpstreamGrants({ clock, logins: store }),
    grantLock: new MemoryLock(upstreamBusy),
  };
}

function redisLogins(connection: RedisConnection, timings: LoginTimings): LoginStores {
  return {
    store: new RedisLoginStore(connection, timings),
    control: new RedisControlLog(connection),
    oneTime: new RedisOneTimeStore(connection),
    marks: new RedisPrincipalMarks(connection),
    grants: new RedisUpstreamGrants(connection, timings),
    grantLock: new RedisLock(connection, UPSTREAM),
  };
}
