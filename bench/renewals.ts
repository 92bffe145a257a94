/** Renewing what one node owns, beside the bare pipelined calls; and sweeping what lapsed, with three nodes at it. */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { LeaseRef } from '../src/session/ports.js';
import { Sweeper } from '../src/session/sweeper.js';
import { connectRedis, type RedisConnection } from '../src/store/redis/client.js';
import { RedisOwnershipStore } from '../src/store/redis/ownership-store.js';
import { timingsOf } from '../src/store.js';
import { startPrivateRedis } from '../test/support/redis.js';
import { quietSessions, quietStore, silent } from '../test/support/silent.js';
import { inParallel } from './raw-socket.js';
import { median, ratio, table } from './report.js';

const LEASES = 20_000;
const LAPSED = 10_000;
const NODES = 3;
const ROUNDS = 5;
const PER_PIPELINE = 1_000;
const SWEEP_EVERY_MS = 1_000;
const TIMINGS = timingsOf({ shortest: 30_000, longest: 30_000 });

/** The least that a fenced renewal of one lease can be. */
const BARE_RENEW = `
local r = redis.call('HMGET', KEYS[1], 'connection', 'epoch')
if r[1] ~= ARGV[1] or r[2] ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], 'deadline', ARGV[3])
redis.call('ZADD', KEYS[2], ARGV[3], ARGV[4])
return 1`;

async function own(store: RedisOwnershipStore, count: number, leaseMs: number, name: string): Promise<LeaseRef[]> {
  const leases: LeaseRef[] = [];
  await inParallel(count, 64, async (index) => {
    const sessionId = `${name}:${index}`;
    const connectionId = `c_${randomUUID()}`;
    const { view } = await store.claim({
      sessionId,
      connectionId,
      requestId: randomUUID(),
      nodeId: 'n1',
      bootId: 'boot',
      principal: 'someone',
      principalRule: 'exact',
      tokenHash: sessionId,
      attemptHash: '',
      policy: 'next_subscriber',
      leaseMs,
      lockValue: '',
      mode: 'subscribe',
    });
    leases.push({ sessionId, connectionId, epoch: view.epoch });
  });
  return leases;
}

async function bareRenew(connection: RedisConnection, sha1: string, leases: readonly LeaseRef[]): Promise<void> {
  const deadline = Date.now() + 40_000;
  const waits: Promise<unknown>[] = [];
  for (let start = 0; start < leases.length; start += PER_PIPELINE) {
    const pipeline = connection.commands.pipeline();
    for (const { sessionId, connectionId, epoch } of leases.slice(start, start + PER_PIPELINE)) {
      const keys = [`bare:${sessionId}`, 'bare:deadlines'];
      pipeline.evalsha(sha1, 2, ...keys, connectionId, `${epoch}`, deadline, sessionId);
    }
    waits.push(pipeline.exec());
  }
  await Promise.all(waits);
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const startedMs = performance.now();
  await work();
  return performance.now() - startedMs;
}

async function renewing(connection: RedisConnection, store: RedisOwnershipStore): Promise<void> {
  const leases = await own(store, LEASES, 600_000, 'renew');
  const sha1 = (await connection.commands.script('LOAD', BARE_RENEW)) as string;
  for (const { sessionId, connectionId, epoch } of leases) {
    await connection.commands.hset(`bare:${sessionId}`, { connection: connectionId, epoch: `${epoch}` });
  }
  const ours: number[] = [];
  const bare: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    ours.push(
      await timed(async () => {
        const results = await store.renew(leases, 600_000);
        const renewed = results.filter((result) => result === 'renewed').length;
        if (renewed !== LEASES) throw new Error(`only ${renewed} of ${LEASES} leases were renewed`);
      }),
    );
    bare.push(await timed(() => bareRenew(connection, sha1, leases)));
  }
  table(
    `${LEASES} leases renewed, medians of ${ROUNDS}`,
    ['', 'ms', 'against bare calls'],
    [
      ['bare pipelined calls', median(bare).toFixed(0), ratio(1)],
      ['holdfast', median(ours).toFixed(0), ratio(median(ours) / median(bare), { atMost: 3 })],
    ],
  );
}

async function sweeping(url: string, store: RedisOwnershipStore): Promise<void> {
  const nodes = await Promise.all(
    Array.from({ length: NODES }, () => connectRedis(url, { prefix: 'bench', log: silent, telemetry: quietStore })),
  );
  const stores = nodes.map((node) => new RedisOwnershipStore(node, { ...TIMINGS, maxSweepGapMs: 60_000 }, quietStore));
  const counts = stores.map(() => 0);
  const sweepers = stores.map((sweeper, node) => {
    const swept = (released: number) => void (counts[node] = (counts[node] ?? 0) + released);
    const telemetry = { ...quietSessions, swept };
    return new Sweeper({ store: sweeper, log: silent, telemetry }, SWEEP_EVERY_MS);
  });
  // What the first sweep of a partition finds is a gap.
  for (let partition = 0; partition < store.partitions; partition++) await store.sweep(partition, 1);
  const owned = await own(store, LAPSED, 500, 'sweep');
  await sleep(1_500);
  const listener = await connectRedis(url, { prefix: 'bench', log: silent, telemetry: quietStore });
  let published = 0;
  const subscriber = listener.masters()[0]?.duplicate({ enableOfflineQueue: true });
  if (subscriber === undefined) throw new Error('no subscriber');
  subscriber.on('pmessage', () => published++);
  await subscriber.psubscribe('bench:*:s:sweep:*');
  const ms = await timed(async () => {
    for (const sweeper of sweepers) sweeper.start();
    while (counts.reduce((sum, count) => sum + count, 0) < LAPSED) await sleep(5);
  });
  await Promise.all(sweepers.map((sweeper) => sweeper.stop()));
  await sleep(500);
  table(
    `${owned.length} lapsed sessions swept by ${NODES} nodes at once`,
    ['', ''],
    [
      ['ms', ms.toFixed(0)],
      ['released by each node', counts.join(', ')],
      ['releases published', `${published} (${published === LAPSED ? 'each once' : 'WRONG'})`],
    ],
  );
  subscriber.disconnect();
  await Promise.all([listener, ...nodes].map((node) => node.close()));
}

export async function renewals(): Promise<void> {
  const redis = await startPrivateRedis();
  const connection = await connectRedis(redis.url, { prefix: 'bench', log: silent, telemetry: quietStore });
  try {
    const store = new RedisOwnershipStore(connection, { ...TIMINGS, maxSweepGapMs: 60_000 }, quietStore);
    await renewing(connection, store);
    await sweeping(redis.url, store);
  } finally {
    await connection.close();
    await redis.stop();
  }
}
