import type { Outbox } from './backend/ports.js';
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
import type { Advice, DirectiveLog, NodeDirective, NodeRegistry } from './ops/ports.js';
import type { MessageStore } from './session/message-ports.js';
import type { OwnershipStore, OwnershipTimings, SessionBus, SessionLock } from './session/ports.js';
import type { PresenceStore, PresenceTimings } from './session/presence-ports.js';
import { leaseMsOf } from './session/session-node.js';
import { MemoryBus } from './store/memory/bus.js';
import { MemoryControlLog } from './store/memory/control-log.js';
import { MemoryLock, upstreamBusy } from './store/memory/lock.js';
import { MemoryLoginStore } from './store/memory/login-store.js';
import { MemoryMessageStore } from './store/memory/message-store.js';
import { MemoryNodeRegistry } from './store/memory/node-registry.js';
import { MemoryOneTimeStore } from './store/memory/one-time-store.js';
import { MemoryOutbox } from './store/memory/outbox.js';
import { MemoryOwnershipStore } from './store/memory/ownership-store.js';
import { MemoryPresenceStore } from './store/memory/presence-store.js';
import { MemoryPrincipalMarks } from './store/memory/principal-marks.js';
import { MemoryUpstreamGrants } from './store/memory/upstream-grants.js';
import { adviceOn } from './store/redis/advice.js';
import { redisAnswers } from './store/redis/answers.js';
import { RedisBus } from './store/redis/bus.js';
import { connectRedis, type RedisConnection } from './store/redis/client.js';
import { RedisControlLog } from './store/redis/control-log.js';
import { RedisLock, UPSTREAM } from './store/redis/lock.js';
import { RedisLoginStore } from './store/redis/login-store.js';
import { RedisMessageStore } from './store/redis/message-store.js';
import { RedisNodeRegistry } from './store/redis/node-registry.js';
import { RedisOneTimeStore } from './store/redis/one-time-store.js';
import { RedisOutbox } from './store/redis/outbox.js';
import type { OutboxSettings } from './store/redis/outbox-settings.js';
import { RedisOwnershipStore } from './store/redis/ownership-store.js';
import { RedisPresenceStore } from './store/redis/presence-store.js';
import { RedisPrincipalMarks } from './store/redis/principal-marks.js';
import { checkRequirements, checkRights } from './store/redis/requirements.js';
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
  readonly kind: 'memory' | 'redis';
  logins: LoginStores;
  ownership: OwnershipStore;
  messages: MessageStore;
  presence: PresenceStore;
  outbox: Outbox;
  bus: SessionBus;
  lock: SessionLock;
  nodes: NodeRegistry;
  directives: DirectiveLog;
  /** True while commands get through. */
  reachable(): boolean;
  /** Whether it takes what is written over a connection that is made for the question. */
  answers(): Promise<boolean>;
  /** What to make of a failed write, or, without one, of the last error of its connections; undefined: there was none. */
  advice(failedWrite?: unknown): Advice | undefined;
  close(): Promise<void>;
}

/** Apart, since both say how long a record is kept. */
interface StoreTimings {
  sessions: OwnershipTimings & PresenceTimings;
  logins: LoginTimings;
}

const HOUR_MS = 3_600_000;

/** How often a node sweeps: often enough that a lapse is noticed within a tenth of the shortest grace period. */
export function sweepEveryMs(graceMs: number): number {
  return Math.min(1_000, Math.max(50, Math.floor(graceMs / 10)));
}

/** @param graceMs the shortest and the longest grace period of any namespace */
export function timingsOf(graceMs: { shortest: number; longest: number }): OwnershipTimings & PresenceTimings {
  const shortestLeaseMs = leaseMsOf(graceMs.shortest);
  return {
    // Shorter than what a lease has left between two renewals, so that no outage goes unnoticed that could lapse one;
    // longer than Redis may be slow for without being away.
    maxSweepGapMs: Math.min(Math.max(2_000, shortestLeaseMs / 4), shortestLeaseMs / 2),
    attemptWindowMs: 30_000,
    retentionMs: HOUR_MS + leaseMsOf(graceMs.longest),
    handoverPatienceMs: 1_000,
    busyExtensionMs: 5_000,
    presenceTtlMs: 90_000,
  };
}

/**
 * The store that `redisUrl` names, or the embedded one.
 * @throws RedisRequirementError with a line for the operator
 */
export async function openStore(
  config: Pick<Config, 'redisUrl' | 'redisPrefix' | 'eventsUrl' | 'sessionIdleMs'>,
  timings: StoreTimings,
  parts: { log: Log; telemetry: StoreTelemetry },
): Promise<Store> {
  // Without somebody to tell no event is kept.
  const outbox = config.eventsUrl === undefined ? undefined : { sessionIdleMs: config.sessionIdleMs };
  if (config.redisUrl === undefined) return memoryStore(timings, outbox);
  const { redisUrl } = config;
  const connection = await connectRedis(redisUrl, { prefix: config.redisPrefix, ...parts });
  try {
    await checkRequirements(connection);
    await checkRights(connection);
  } catch (error) {
    await connection.close();
    throw error;
  }
  const bus = new RedisBus(connection);
  return {
    kind: 'redis',
    logins: redisLogins(connection, timings.logins, outbox),
    ownership: new RedisOwnershipStore(connection, timings.sessions, parts.telemetry, outbox),
    messages: new RedisMessageStore(connection, parts.telemetry, outbox),
    presence: new RedisPresenceStore(connection, timings.sessions),
    outbox: new RedisOutbox(connection),
    bus,
    lock: new RedisLock(connection),
    nodes: new RedisNodeRegistry(connection),
    directives: new RedisControlLog<NodeDirective>(connection),
    reachable: () => connection.commands.status === 'ready',
    answers: () => redisAnswers(redisUrl, connection.keys.asked, connection.masters()),
    advice(failedWrite) {
      const error = failedWrite ?? connection.lastError();
      return error === undefined ? undefined : adviceOn(error);
    },
    close: async () => {
      await bus.close();
      await connection.close();
    },
  };
}

function memoryStore({ sessions: timings, logins }: StoreTimings, settings: OutboxSettings | undefined): Store {
  const clock = systemClock;
  const bus = new MemoryBus();
  const lock = new MemoryLock();
  const outbox = new MemoryOutbox({ clock, sessionIdleMs: settings?.sessionIdleMs ?? 0 });
  const told = settings && outbox;
  const messages = new MemoryMessageStore({
    clock,
    bus: {
      publish(batch) {
        told?.published(batch.sessionId);
        return bus.publish(batch);
      },
    },
    records: (sessionId) => ownership.owner(sessionId),
  });
  const ownership: MemoryOwnershipStore = new MemoryOwnershipStore({
    clock,
    timings,
    bus,
    lock,
    streams: messages,
    ...(told && { outbox: told.sessions }),
  });
  return {
    kind: 'memory',
    logins: memoryLogins(logins, told),
    ownership,
    messages,
    presence: new MemoryPresenceStore({ clock, timings, bus }),
    outbox,
    bus,
    lock,
    nodes: new MemoryNodeRegistry({ clock }),
    directives: new MemoryControlLog<NodeDirective>(),
    reachable: () => true,
    answers: async () => true,
    advice: () => undefined,
    close: () => bus.close(),
  };
}

function memoryLogins(timings: LoginTimings, outbox: MemoryOutbox | undefined): LoginStores {
  const clock = systemClock;
  const store = new MemoryLoginStore({ clock, timings, ...(outbox && { outbox }) });
  return {
    store,
    control: new MemoryControlLog(),
    oneTime: new MemoryOneTimeStore({ clock }),
    marks: new MemoryPrincipalMarks({ clock }),
    grants: new MemoryUpstreamGrants({ clock, logins: store }),
    grantLock: new MemoryLock(upstreamBusy),
  };
}

function redisLogins(
  connection: RedisConnection,
  timings: LoginTimings,
  outbox: OutboxSettings | undefined,
): LoginStores {
  return {
    store: new RedisLoginStore(connection, timings, outbox),
    control: new RedisControlLog(connection),
    oneTime: new RedisOneTimeStore(connection),
    marks: new RedisPrincipalMarks(connection),
    grants: new RedisUpstreamGrants(connection, timings),
    grantLock: new RedisLock(connection, UPSTREAM),
  };
}
