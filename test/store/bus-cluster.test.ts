import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { PARTITIONS, partitionOf } from '../../src/store/redis/partitions.js';
import { type RedisCluster, startRedisCluster } from '../support/redis-cluster.js';
import { eventually, redisCall } from '../support/redis-process.js';
import { numbered, type WatchedBus, watchedBus } from './bus-harness.js';

let cluster: RedisCluster;
let node: WatchedBus;
let other: WatchedBus;

/** One session for each partition. */
const sessions = [...new Map(Array.from({ length: 2_000 }, (_, i) => [partitionOf(`s${i}`), `s${i}`])).values()];

beforeAll(async () => {
  cluster = await startRedisCluster();
});

afterAll(() => cluster.stop());

beforeEach(async () => {
  node = await watchedBus(cluster.url, 'hft');
  other = await watchedBus(cluster.url, 'hft');
  await eventually('healthy buses', async () => node.bus.healthy() && other.bus.healthy());
  await Promise.all(sessions.map((id) => node.bus.subscribe(id)));
});

afterEach(() => Promise.all([node.close(), other.close()]));

async function expectDelivery(number: number): Promise<void> {
  await Promise.all(sessions.map((id) => other.bus.publish(numbered(id, number))));
  await expect.poll(() => sessions.filter((id) => !node.of(id).includes(number))).toEqual([]);
}

test('every partition delivers, in order, through sharded pub/sub', async () => {
  expect(sessions).toHaveLength(PARTITIONS);
  const numbers = Array.from({ length: 50 }, (_, i) => i);
  await Promise.all(numbers.flatMap((i) => sessions.map((id) => other.bus.publish(numbered(id, i)))));
  await expect.poll(() => node.received.length).toBe(numbers.length * sessions.length);
  for (const id of sessions) expect(node.of(id)).toEqual(numbers);
  for (const { port } of cluster.masters) {
    expect(((await redisCall(port, 'PUBSUB', 'SHARDCHANNELS', 'hft:*:s:*')) as string[]).length).toBeGreaterThan(15);
  }
});

test('the loss of one master’s subscriptions is a gap', async () => {
  await redisCall(cluster.masters[1]?.port ?? 0, 'CLIENT', 'KILL', 'TYPE', 'pubsub');
  await expect.poll(() => node.gaps).toBe(1);
  await expect.poll(() => node.bus.healthy()).toBe(true);
  await expectDelivery(1);
});

test('a master that stops answering is noticed, and healed', async () => {
  cluster.masters[2]?.pause();
  await expect.poll(() => node.bus.healthy(), { timeout: 4_000 }).toBe(false);
  cluster.masters[2]?.resume();
  await expect.poll(() => node.bus.healthy(), { timeout: 8_000 }).toBe(true);
  expect(node.gaps).toBeGreaterThan(0);
  await expectDelivery(2);
});

test('the channels of a slot follow it to another master', async () => {
  const session = sessions[0] as string;
  const channel = node.connection.keys.channel(session);
  const slot = Number(await redisCall(cluster.masters[0]?.port ?? 0, 'CLUSTER', 'KEYSLOT', channel));
  const servedBy = async (port: number) => {
    const shards = (await redisCall(port, 'CLUSTER', 'SLOTS')) as [number, number, [string, number, string]][];
    return shards.find(([from, to]) => from <= slot && slot <= to)?.[2];
  };
  const first = cluster.masters[0]?.port ?? 0;
  const [, sourcePort = 0, sourceId = ''] = (await servedBy(first)) ?? [];
  const target = cluster.masters.find(({ port }) => port !== sourcePort)?.port ?? 0;
  const targetId = String(await redisCall(target, 'CLUSTER', 'MYID'));
  // Events flow while the slot moves.
  let published = 0;
  let moving = true;
  const publishing = (async () => {
    for (; moving; published += 1) {
      await other.bus.publish(numbered(session, published)).catch(() => {});
      await sleep(2);
    }
  })();
  await redisCall(target, 'CLUSTER', 'SETSLOT', slot, 'IMPORTING', sourceId);
  await redisCall(sourcePort, 'CLUSTER', 'SETSLOT', slot, 'MIGRATING', targetId);
  for (const port of [target, sourcePort]) await redisCall(port, 'CLUSTER', 'SETSLOT', slot, 'NODE', targetId);
  await expect.poll(() => node.gaps, { interval: 5, timeout: 10_000 }).toBeGreaterThan(0);
  moving = false;
  await publishing;
  await expect.poll(() => node.bus.healthy()).toBe(true);
  const received = node.of(session);
  expect(received).toEqual([...new Set(received)].sort((a, b) => a - b));
  await expectDelivery(100_000);
  expect(await redisCall(target, 'PUBSUB', 'SHARDNUMSUB', channel)).toEqual([channel, 1]);
});
