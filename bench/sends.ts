/** An owner's `send` until its `send_ack`, 64 in flight, against the bare script calls that it makes. */
import { Redis } from 'ioredis';
import { systemClock } from '../src/lib/clock.js';
import type { SendRequest, ServerMessage } from '../src/protocol/messages.js';
import { payloadText } from '../src/protocol/payload.js';
import { messageTail } from '../src/session/message-frame.js';
import type { SessionBus } from '../src/session/ports.js';
import { ALL_RIGHTS } from '../src/session/rights.js';
import { leaseMsOf, type SessionSettings } from '../src/session/session-node.js';
import { Sessions } from '../src/session/sessions.js';
import type { Subscriber } from '../src/session/subscriber.js';
import { MemoryLock } from '../src/store/memory/lock.js';
import { MemoryPresenceStore } from '../src/store/memory/presence-store.js';
import { connectRedis, type RedisConnection } from '../src/store/redis/client.js';
import { RedisMessageStore } from '../src/store/redis/message-store.js';
import { RedisOwnershipStore } from '../src/store/redis/ownership-store.js';
import { timingsOf } from '../src/store.js';
import { frameEncoder } from '../src/transport/frame.js';
import { NO_APPLICATION, RETENTION, testTokens } from '../test/session/domain-harness.js';
import { messageItem } from '../test/support/message-item.js';
import { startPrivateRedis } from '../test/support/redis.js';
import { sendRequest } from '../test/support/send-request.js';
import { quietSessions, quietStore, silent } from '../test/support/silent.js';
import { DATA } from './publishers.js';
import { inParallel } from './raw-socket.js';
import { callsOf } from './redis-stats.js';
import { median, ratio, table } from './report.js';

const SESSIONS = 64;
const REQUESTS = 10_000;
const BATCH = 16;
const WARM_UP_ROUNDS = 1;
const ROUNDS = 5;
const HOUR_MS = 3_600_000;
/** So that no lease is renewed meanwhile. */
const GRACE_MS = HOUR_MS;

type Evalsha = [sha1: string, keyCount: number, ...rest: (string | number)[]];

const SETTINGS: SessionSettings = {
  graceMs: GRACE_MS,
  leaseMs: leaseMsOf(GRACE_MS),
  handoverPolicy: 'next_subscriber',
  exposePrincipals: false,
  retention: RETENTION,
  maxMessageBytes: 65_536,
  sendsPerSecond: 0,
  presence: false,
  asks: { authorize: false, message: false },
};

/** What is published is not heard: here only the way to the acknowledgement counts. */
const DEAF: SessionBus = {
  subscribe: async () => {},
  unsubscribe: async () => {},
  publish: async () => {},
  onEvent: () => {},
  onGap: () => {},
  healthy: () => true,
  close: async () => {},
};

/** An owner that only looks at its acknowledgements. */
class Owner implements Subscriber {
  readonly id: string;
  readonly sessionId: string;
  readonly message: SendRequest;
  readonly principal = 'someone';
  readonly anonymous = false;
  readonly rights = ALL_RIGHTS;
  readonly open = true;
  readonly compresses = false;
  readonly queuedBytes = 0;
  epoch = 0;
  acknowledged = 0;

  constructor(index: number) {
    this.id = `c_${index}`;
    this.sessionId = `bench:${index}`;
    this.message = sendRequest({ type: 'send', session_id: this.sessionId, data: DATA });
  }

  send(message: ServerMessage): void {
    if (message.type === 'send_ack') this.acknowledged++;
    if (message.type === 'subscribe_ack') this.epoch = message.owner_epoch ?? 0;
  }

  restorePrincipal(): void {}
  sendFrame(): void {}

  sendFrames(): void {}
  onDrained(): void {}
}

function startSessions(connection: RedisConnection, messages: RedisMessageStore): Sessions {
  const timings = timingsOf({ shortest: GRACE_MS, longest: GRACE_MS });
  const clock = systemClock;
  return new Sessions({
    store: new RedisOwnershipStore(connection, timings, quietStore),
    messages,
    presence: new MemoryPresenceStore({ clock, timings, bus: { publish: async () => {} } }),
    hasPresence: false,
    application: NO_APPLICATION,
    frames: frameEncoder(0),
    lagBytes: 65_536,
    bus: DEAF,
    lock: new MemoryLock(),
    tokens: testTokens(),
    clock,
    log: silent,
    telemetry: quietSessions,
    nodeId: 'n1',
    bootId: 'boot',
    settingsOf: () => SETTINGS,
    shortestLeaseMs: SETTINGS.leaseMs,
    sweepEveryMs: HOUR_MS,
    reconcileEveryMs: HOUR_MS,
  });
}

/** The calls that the store makes for those requests in turn, without making them. */
async function recorded(connection: RedisConnection, owners: readonly Owner[], batch: number, writerId: string) {
  const calls: Evalsha[] = [];
  const commands = { evalsha: async (...args: Evalsha) => (calls.push(args), '') };
  const store = new RedisMessageStore({ ...connection, commands } as unknown as RedisConnection, quietStore);
  for (let sequence = 1; sequence <= REQUESTS; sequence++) {
    const { id: connectionId, sessionId, epoch } = owners[sequence % SESSIONS] as Owner;
    const { tail, bytes } = messageTail({ ownerEpoch: epoch }, payloadText({ data: DATA }));
    const item = messageItem(tail, { bytes, owner: { connectionId, epoch } });
    const items = Array.from({ length: batch }, () => item);
    await store.append({ sessionId, writerId, sequence, retention: RETENTION, items });
  }
  return calls;
}

/** Messages a second; each session has one request under way. */
async function rate(batch: number, work: (index: number) => Promise<unknown>): Promise<number> {
  const startedMs = performance.now();
  await inParallel(REQUESTS, SESSIONS, async (index) => void (await work(index)));
  return (REQUESTS * batch) / ((performance.now() - startedMs) / 1000);
}

export async function sends(): Promise<void> {
  const redis = await startPrivateRedis();
  const connection = await connectRedis(redis.url, { prefix: 'bench', log: silent, telemetry: quietStore });
  // As a user would have it: our own client coalesces its writes.
  const plain = new Redis(redis.url, { protocol: 2 });
  const sessions = startSessions(connection, new RedisMessageStore(connection, quietStore));
  const owners = Array.from({ length: SESSIONS }, (_, index) => new Owner(index));
  try {
    for (const owner of owners) await sessions.subscribe(owner, { session_id: owner.sessionId }, undefined);
    const rates = new Map<string, number[]>();
    const perRequest = new Map<number, string>();
    for (let round = 0; round < WARM_UP_ROUNDS + ROUNDS; round++) {
      for (const batch of [1, BATCH]) {
        const calls = await recorded(connection, owners, batch, `bare-${round}-${batch}`);
        const before = await callsOf(redis, 'evalsha');
        const acknowledged = acknowledgements(owners);
        // Which lane comes next is not known, but as many sessions as lanes are free.
        const free = [...owners];
        const ours = await rate(batch, async () => {
          const owner = free.pop() as Owner;
          const send = (resolve: () => void, reject: (error: unknown) => void) => {
            const done = (error?: unknown) => (error === undefined ? resolve() : reject(error));
            sessions.send(owner, owner.message, { done });
          };
          await Promise.all(Array.from({ length: batch }, () => new Promise<void>(send)));
          free.push(owner);
        });
        if (acknowledgements(owners) - acknowledged !== REQUESTS * batch) throw new Error('not all were acknowledged');
        perRequest.set(batch, `${(await callsOf(redis, 'evalsha')) - before} EVALSHA for ${REQUESTS} times ${batch}`);
        const bare = await rate(batch, (index) => plain.evalsha(...(calls[index] as Evalsha)));
        if (round < WARM_UP_ROUNDS) continue;
        for (const [name, value] of [
          [`bare-${batch}`, bare],
          [`ours-${batch}`, ours],
        ] as const) {
          rates.set(name, [...(rates.get(name) ?? []), value]);
        }
      }
    }
    const row = (name: string, key: string, base: string, wanted?: { atLeast: number }) => {
      const [mine, theirs] = [rates.get(key) ?? [], rates.get(base) ?? []];
      const share = median(mine.map((value, index) => value / (theirs[index] ?? Number.NaN)));
      return [name, Math.round(median(mine)).toLocaleString('en'), ratio(share, wanted)];
    };
    table(
      `${SESSIONS} sessions with one request in flight each, medians of ${ROUNDS} rounds of ${REQUESTS}`,
      ['way', 'messages/s', 'against bare EVALSHA'],
      [
        row('bare EVALSHA', 'bare-1', 'bare-1'),
        row('send to send_ack', 'ours-1', 'bare-1', { atLeast: 0.7 }),
        row(`bare EVALSHA of ${BATCH} messages`, `bare-${BATCH}`, `bare-${BATCH}`),
        row(`${BATCH} sends at once to their send_acks`, `ours-${BATCH}`, `bare-${BATCH}`),
      ],
    );
    console.log(`  INFO commandstats: ${[...perRequest.values()].join('; ')}`);
  } finally {
    plain.disconnect();
    await sessions.close();
    await connection.close();
    await redis.stop();
  }
}

function acknowledgements(owners: readonly Owner[]): number {
  return owners.reduce((sum, { acknowledged }) => sum + acknowledged, 0);
}
