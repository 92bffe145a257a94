import { randomUUID } from 'node:crypto';
import type { ClaimRequest, OwnershipTimings } from '../../src/session/ports.js';
import { connectRedis, type RedisConnection } from '../../src/store/redis/client.js';
import { RedisOwnershipStore } from '../../src/store/redis/ownership-store.js';
import type { StoreTelemetry } from '../../src/store/redis/telemetry.js';
import { quietStore, silent } from '../support/silent.js';

const TIMINGS: OwnershipTimings = {
  maxSweepGapMs: 60_000,
  attemptWindowMs: 30_000,
  retentionMs: 3_600_000,
  handoverPatienceMs: 1000,
  busyExtensionMs: 5000,
};

export interface OpenStore {
  store: RedisOwnershipStore;
  connection: RedisConnection;
  /** `verb result` of each attempt. */
  commands: string[];
}

/** A store on a Redis that nobody else uses. */
export async function openStore(url: string, prefix = `hft-${randomUUID().slice(0, 8)}`): Promise<OpenStore> {
  const commands: string[] = [];
  const telemetry: StoreTelemetry = { ...quietStore, command: (verb, result) => commands.push(`${verb} ${result}`) };
  const connection = await connectRedis(url, { prefix, log: silent, telemetry });
  return { store: new RedisOwnershipStore(connection, TIMINGS, telemetry), connection, commands };
}

export function claimOf(sessionId: string, extra: Partial<ClaimRequest> = {}): ClaimRequest {
  return {
    sessionId,
    requestId: randomUUID(),
    connectionId: `c_${randomUUID()}`,
    nodeId: 'node-1',
    bootId: 'boot-1',
    principal: 'principal-1',
    principalRule: 'exact',
    tokenHash: randomUUID(),
    attemptHash: '',
    policy: 'next_subscriber',
    leaseMs: 60_000,
    lockValue: '',
    mode: 'subscribe',
    ...extra,
  };
}
