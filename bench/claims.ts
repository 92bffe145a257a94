/** Claim and reclaim, 64 in flight: the store, the bare script calls that it makes, and redlock around commands. */
import { createHash, randomUUID } from 'node:crypto';
import { Redis } from 'ioredis';
import Redlock from 'redlock';
import type { ClaimRequest, OwnershipStore, ReclaimRequest } from '../src/session/ports.js';
import { connectRedis, type RedisConnection } from '../src/store/redis/client.js';
import type { Keys } from '../src/store/redis/keys.js';
import { RedisOwnershipStore } from '../src/store/redis/ownership-store.js';
import { timingsOf } from '../src/store.js';
import { startPrivateRedis } from '../test/support/redis.js';
import { quietStore, silent } from '../test/support/silent.js';
import { inParallel } from './raw-socket.js';
import { median, ratio, table } from './report.js';

const IN_FLIGHT = 64;
const SESSIONS = 10_000;
const ROUNDS = 5;

type Evalsha = [sha1: string, keyCount: number, ...rest: (string | number)[]];

const hash = (text: string) => createHash('sha256').update(text).digest('base64url');

function claimOf(sessionId: string): ClaimRequest {
  return {
    sessionId,
    requestId: randomUUID(),
    connectionId: `c_${randomUUID()}`,
    nodeId: 'n1',
    bootId: 'boot',
    principal: 'someone',
    principalRule: 'exact',
    tokenHash: hash(sessionId),
    attemptHash: '',
    policy: 'next_subscriber',
    leaseMs: 40_000,
    lockValue: '',
    mode: 'subscribe',
  };
}

function reclaimOf(sessionId: string): ReclaimRequest {
  const { mode: _, ...request } = claimOf(sessionId);
  return {
    ...request,
    tokenHash: hash(`${sessionId}:next`),
    presentedTokenHash: hash(sessionId),
    claimIfExpired: true,
  };
}

/** Operations a second. */
async function rate(work: (index: number) => Promise<unknown>): Promise<number> {
  const startedMs = performance.now();
  await inParallel(SESSIONS, IN_FLIGHT, async (index) => void (await work(index)));
  return SESSIONS / ((performance.now() - startedMs) / 1000);
}

/** The arguments of the calls that the store makes, without making them. */
async function recorded(connection: RedisConnection, ask: (store: OwnershipStore, index: number) => Promise<unknown>) {
  const calls: Evalsha[] = [];
  const commands = { evalsha: async (...args: Evalsha) => (calls.push(args), []) };
  const stub = { ...connection, commands } as unknown as RedisConnection;
  const store = new RedisOwnershipStore(stub, timingsOf({ shortest: 30_000, longest: 30_000 }), quietStore);
  for (let index = 0; index < SESSIONS; index++) await ask(store, index);
  return calls;
}

/** What a user would write: the lock, the same reads and writes one by one, the event, the unlock. */
async function lockedClaim(client: Redis, keys: Keys, redlock: Redlock, sessionId: string): Promise<void> {
  const record = keys.owner(sessionId);
  const lock = await redlock.acquire(keys.lock(sessionId), 2_000);
  await client.hgetall(record);
  await client.hset(record, {
    state: 'owned',
    epoch: Date.now() * 1000,
    connection: randomUUID(),
    token: hash(sessionId),
  });
  await client.pexpire(record, 3_640_000);
  await client.zadd(keys.deadlines(0), Date.now() + 40_000, sessionId);
  await client.publish(keys.channel(sessionId), 'owned');
  await lock.unlock();
}

/** Until the code is compiled. */
async function warmUp(store: OwnershipStore): Promise<void> {
  await rate((index) => store.claim(claimOf(`bench:warm-${index}`)));
  await rate((index) => store.reclaim(reclaimOf(`bench:warm-${index}`)));
}

export async function claims(): Promise<void> {
  const redis = await startPrivateRedis();
  const connection = await connectRedis(redis.url, { prefix: 'bench', log: silent, telemetry: quietStore });
  const client = connection.commands;
  try {
    const store = new RedisOwnershipStore(connection, timingsOf({ shortest: 30_000, longest: 30_000 }), quietStore);
    // As a user would have it: our own client coalesces its writes.
    const plain = new Redis(redis.url, { protocol: 2 });
    const redlock = new Redlock([plain as unknown as Redlock.CompatibleRedisClient], { retryCount: 0 });
    const rates: Record<string, number[]> = {};
    const note = (name: string, value: number) => void (rates[name] ??= []).push(value);
    let perOperation = '';
    for (let round = 0; round < ROUNDS; round++) {
      const id = (index: number) => `bench:${round}-${index}`;
      const bare = (index: number) => `bench:bare-${round}-${index}`;
      const bareClaims = await recorded(connection, (stub, index) => stub.claim(claimOf(bare(index))).catch(() => {}));
      const bareReclaims = await recorded(connection, (stub, index) =>
        stub.reclaim(reclaimOf(bare(index))).catch(() => {}),
      );
      if (round === 0) await warmUp(store);
      await client.config('RESETSTAT');
      note('claim', await rate((index) => store.claim(claimOf(id(index)))));
      note('reclaim', await rate((index) => store.reclaim(reclaimOf(id(index)))));
      const stats = await client.info('commandstats');
      const evalshas = Number(/^cmdstat_evalsha:calls=(\d+)/m.exec(stats)?.[1]);
      perOperation = `${evalshas} EVALSHA for ${2 * SESSIONS} operations`;
      note('claim, bare EVALSHA', await rate((index) => plain.evalsha(...(bareClaims[index] as Evalsha))));
      note('reclaim, bare EVALSHA', await rate((index) => plain.evalsha(...(bareReclaims[index] as Evalsha))));
      note(
        'claim, redlock around commands',
        await rate((index) => lockedClaim(plain, connection.keys, redlock, `lock:${round}-${index}`)),
      );
    }
    const of = (name: string) => median(rates[name] ?? []);
    const row = (name: string, against: string, wanted?: { atLeast: number }) => [
      name,
      Math.round(of(name)).toLocaleString('en'),
      ratio(of(name) / of(against), wanted),
    ];
    table(
      `${IN_FLIGHT} in flight, medians of ${ROUNDS} rounds of ${SESSIONS}`,
      ['operation', 'a second', 'against bare EVALSHA'],
      [
        row('claim, bare EVALSHA', 'claim, bare EVALSHA'),
        row('claim', 'claim, bare EVALSHA', { atLeast: 0.7 }),
        row('reclaim, bare EVALSHA', 'reclaim, bare EVALSHA'),
        row('reclaim', 'reclaim, bare EVALSHA', { atLeast: 0.7 }),
        row('claim, redlock around commands', 'claim, bare EVALSHA'),
      ],
    );
    console.log(`  INFO commandstats: ${perOperation}`);
    plain.disconnect();
  } finally {
    await connection.close();
    await redis.stop();
  }
}
