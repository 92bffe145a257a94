import { randomUUID } from 'node:crypto';
import type { Redis } from 'ioredis';
import type { SessionEvent, TransferOffer } from '../../src/session/ports.js';
import { RedisBus } from '../../src/store/redis/bus.js';
import { connectRedis, type RedisConnection } from '../../src/store/redis/client.js';

/** A bus with all that it reports. */
export interface WatchedBus {
  bus: RedisBus;
  connection: RedisConnection;
  received: SessionEvent[];
  /** In the order of arrival. */
  of(sessionId: string): number[];
  gaps: number;
  probes: { ok: number; lost: number };
  /** Messages of `warn` and `error`. */
  logged: string[];
  /** Every subscriber connection made, the present one last; not in a cluster. */
  subscribers: Redis[];
  close(): Promise<void>;
}

export async function watchedBus(url: string, prefix = `hft-${randomUUID().slice(0, 8)}`): Promise<WatchedBus> {
  const logged: string[] = [];
  const probes = { ok: 0, lost: 0 };
  const note = (_fields: object, message: string) => void logged.push(message);
  const connection = await connectRedis(url, {
    prefix,
    log: { debug: () => {}, info: () => {}, warn: note, error: note },
    telemetry: {
      command: () => {},
      connection: () => {},
      gap: () => {},
      probe: (ok) => {
        probes[ok ? 'ok' : 'lost'] += 1;
      },
    },
  });
  const subscribers: Redis[] = [];
  if (connection.kind !== 'cluster') {
    const commands = connection.commands as Redis;
    const duplicate = commands.duplicate.bind(commands);
    commands.duplicate = (options) => {
      const made = duplicate(options);
      subscribers.push(made);
      return made;
    };
  }
  const bus = new RedisBus(connection);
  const watched: WatchedBus = {
    bus,
    connection,
    received: [],
    of: (sessionId) =>
      watched.received
        .filter((event) => event.sessionId === sessionId && event.kind !== 'subscription_removal')
        .map(numberOf),
    gaps: 0,
    probes,
    logged,
    subscribers,
    close: async () => {
      await bus.close();
      await connection.close();
    },
  };
  bus.onEvent((event) => watched.received.push(event));
  bus.onGap(() => {
    watched.gaps += 1;
  });
  return watched;
}

function numberOf(event: SessionEvent): number {
  if (event.kind === 'transfer_offer') return event.expectedEpoch;
  return event.kind === 'ownership' ? event.epoch : 0;
}

/** An event that is told apart by its number. */
export function numbered(sessionId: string, expectedEpoch: number): TransferOffer {
  return { kind: 'transfer_offer', sessionId, requestId: randomUUID(), lockValue: 'lock', expectedEpoch, target: {} };
}
