import { randomUUID } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { CircuitBreaker } from '../../src/backend/circuit-breaker.js';
import { type DeliveryPace, EventDelivery } from '../../src/backend/event-delivery.js';
import { HookClient } from '../../src/backend/hook-client.js';
import { OUTBOX_ROOM, type Outbox, type OutboxEvent } from '../../src/backend/ports.js';
import { verifyWebhook } from '../../src/crypto/webhook-signature.js';
import { systemClock } from '../../src/lib/clock.js';
import { HoldfastError } from '../../src/protocol/errors.js';
import { MemoryOutbox } from '../../src/store/memory/outbox.js';
import { RedisOutbox } from '../../src/store/redis/outbox.js';
import { partitionOf } from '../../src/store/redis/partitions.js';
import { connectTwo } from '../contract/redis-harness.js';
import { testRedis } from '../support/redis.js';
import { silent } from '../support/silent.js';
import { answer, hookClient, hookServer, onCleanup, recorded, SECRETS, until } from './hook-server.js';

const PACE: DeliveryPace = {
  pollEveryMs: 20,
  leaseMs: 900,
  maxAttempts: 4,
  backoff: { baseMs: 20, capMs: 100 },
};

function deliver(outbox: Outbox, url: string, options: { pace?: Partial<DeliveryPace>; concurrency?: number } = {}) {
  const { told, telemetry } = recorded();
  const { concurrency = 8 } = options;
  const clock = systemClock;
  const breaker = new CircuitBreaker(clock, () => {});
  const common = { concurrency, clock, telemetry };
  const hook = new HookClient({
    ...common,
    name: 'events',
    url: new URL(url),
    secrets: SECRETS,
    timeoutMs: 300,
    breaker,
  });
  const delivery = new EventDelivery({ ...common, hook, outbox, log: silent, pace: { ...PACE, ...options.pace } });
  onCleanup(async () => {
    await delivery.close();
    hook.close();
  });
  delivery.start();
  return { delivery, told, hook };
}

const memory = () => new MemoryOutbox({ clock: systemClock, sessionIdleMs: 0 });

async function twoRedis(): Promise<[RedisOutbox, RedisOutbox]> {
  const { first, second, close } = await connectTwo(testRedis().url);
  onCleanup(close);
  return [new RedisOutbox(first), new RedisOutbox(second)];
}

/** Adds `count` numbered events to each of the subjects, in turn. */
async function fill(outbox: Outbox, subjects: readonly string[], count: number): Promise<void> {
  for (let n = 1; n <= count; n += 1) {
    await Promise.all(
      subjects.map((subject) => outbox.add({ type: 'session.signal', subject, fields: { session_id: subject, n } })),
    );
  }
}

const subjectsOf = (count: number) => Array.from({ length: count }, () => `test:${randomUUID()}`);

type Body = Record<string, unknown>;

/** The numbers in the order in which they came, by session. */
function bySession(bodies: readonly Body[]): Record<string, unknown[]> {
  const sessions: Record<string, unknown[]> = {};
  for (const { session_id: id, n } of bodies) {
    const numbers = sessions[String(id)];
    if (numbers === undefined) sessions[String(id)] = [n];
    else numbers.push(n);
  }
  return sessions;
}

const upTo = (count: number) => Array.from({ length: count }, (_, i) => i + 1);

describe('events', () => {
  test('are delivered once each, in order per session, with a body and a signature', async () => {
    const outbox = memory();
    const subjects = subjectsOf(5);
    const server = await hookServer(answer(204));
    await fill(outbox, subjects, 20);
    const { told } = deliver(outbox, server.url);
    await until(async () => (await outbox.backlog()).waiting === 0);
    const sessions = bySession(server.received.map(({ body }) => body));
    expect(sessions).toEqual(Object.fromEntries(subjects.map((subject) => [subject, upTo(20)])));
    expect(told.filter((word) => word === 'delivered session.signal')).toHaveLength(100);
    const [first] = server.received;
    expect(first?.body).toEqual({
      id: first?.headers['webhook-id'],
      type: 'session.signal',
      at: expect.any(Number),
      session_id: subjects[0],
      n: 1,
    });
    for (const { headers, text } of server.received) verifyWebhook(SECRETS, headers, text);
  });

  test('of a session wait for the first of them that fails, those of others do not', async () => {
    const outbox = memory();
    const [bad, good] = subjectsOf(2) as [string, string];
    let refusals = 0;
    const server = await hookServer((hook, response, request) => {
      const fails = hook.body['session_id'] === bad && hook.body['n'] === 2 && ++refusals < 4;
      return answer(fails ? 422 : 200)(hook, response, request);
    });
    await fill(outbox, [bad, good], 5);
    deliver(outbox, server.url);
    await until(async () => (await outbox.backlog()).waiting === 0);
    const sessions = bySession(server.received.map(({ body }) => body));
    expect(sessions[bad]).toEqual([1, 2, 2, 2, 2, 3, 4, 5]);
    expect(sessions[good]).toEqual(upTo(5));
    const ids = server.received.filter(({ body }) => body['session_id'] === bad && body['n'] === 2);
    expect(new Set(ids.map(({ headers }) => headers['webhook-id'])).size).toBe(1);
    const lastGood = server.received.findLastIndex(({ body }) => body['session_id'] === good);
    const thirdBad = server.received.findIndex(({ body }) => body['session_id'] === bad && body['n'] === 3);
    expect(lastGood).toBeLessThan(thirdBad);
  });

  test.each([500, 302])('are not given up while the application answers all of them with %i', async (status) => {
    const outbox = memory();
    const [subject] = subjectsOf(1) as [string];
    let calls = 0;
    const server = await hookServer((hook, response, request) =>
      answer(++calls < 7 ? status : 200)(hook, response, request),
    );
    await fill(outbox, [subject], 1);
    const { told } = deliver(outbox, server.url, { pace: { maxAttempts: 6 } });
    await until(async () => (await outbox.backlog()).waiting === 0);
    expect(told.at(-1)).toBe('delivered session.signal');
    expect((await outbox.backlog()).dead).toBe(0);
  });

  test('become dead letters after so many attempts, and the next one goes', async () => {
    const outbox = memory();
    const [subject] = subjectsOf(1) as [string];
    const server = await hookServer((hook, response, request) =>
      answer(hook.body['n'] === 1 ? 400 : 200)(hook, response, request),
    );
    await fill(outbox, [subject], 2);
    const { told } = deliver(outbox, server.url);
    await until(async () => (await outbox.backlog()).waiting === 0);
    expect(bySession(server.received.map(({ body }) => body))).toEqual({ [subject]: [1, 1, 1, 1, 2] });
    expect((await outbox.backlog()).dead).toBe(1);
    expect(told.filter((word) => /^(retried|buried|delivered)/.test(word))).toEqual([
      ...Array.from({ length: 3 }, () => 'retried session.signal'),
      'buried session.signal',
      'delivered session.signal',
    ]);
  });

  test('outlive an application that is away for longer than all attempts', async () => {
    const outbox = memory();
    const subjects = subjectsOf(3);
    let away = true;
    const server = await hookServer((hook, response, request) => answer(away ? 503 : 200)(hook, response, request));
    await fill(outbox, subjects, 2);
    deliver(outbox, server.url, { pace: { maxAttempts: 3 } });
    // Five failures, and probes after 1 s and 2 s: each event would have had its attempts.
    await until(() => server.received.length >= 7);
    away = false;
    await until(async () => (await outbox.backlog()).waiting === 0);
    expect((await outbox.backlog()).dead).toBe(0);
  });

  test('hundreds of them all arrive in order while every third call fails in some way', async () => {
    const [first, second] = await twoRedis();
    const subjects = subjectsOf(50);
    let calls = 0;
    const server = await hookServer((hook, response, { socket }) => {
      calls += 1;
      const fate = calls % 12;
      if (fate === 3) socket.destroy();
      else if (fate === 6) response.writeHead(200, { 'content-length': 9 }).write('half', () => socket.destroy());
      else response.writeHead(fate === 9 || fate === 0 ? 500 : 200).end();
    });
    await fill(first, subjects, 6);
    const pace = { maxAttempts: 50 };
    deliver(first, server.url, { pace });
    deliver(second, server.url, { pace });
    await until(async () => (await first.backlog()).waiting === 0);
    const sessions = bySession(server.received.map(({ body }) => body));
    for (const subject of subjects) {
      // Repetitions follow each other; nothing comes before what precedes it.
      const distinct = (sessions[subject] ?? []).filter((n, i, all) => n !== all[i - 1]);
      expect(distinct).toEqual(upTo(6));
    }
    expect((await first.backlog()).dead).toBe(0);
    expect(server.received.length).toBeGreaterThan(360);
  });

  test('that a node had in hand when it died are delivered by another', async () => {
    const [first, second] = await twoRedis();
    const subjects = subjectsOf(20);
    await fill(first, subjects, 3);
    // It took everything, and nothing more was heard of it.
    for (let partition = 0; partition < first.partitions; partition += 1) {
      await first.acquire(partition, 'dead', 400);
      await first.read(partition, 'dead', 200, false);
    }
    const server = await hookServer(answer(200));
    deliver(second, server.url);
    await until(async () => (await first.backlog()).waiting === 0);
    expect(bySession(server.received.map(({ body }) => body))).toEqual(
      Object.fromEntries(subjects.map((subject) => [subject, upTo(3)])),
    );
  });

  test('in hand are never more than 200 of a partition, and one that fails holds up no delivery of the others', async () => {
    const outbox = memory();
    const inHand = new Set<string>();
    let most = 0;
    const read = outbox.read.bind(outbox);
    outbox.read = async (...args) => {
      const events = await read(...args);
      for (const { id } of events) inHand.add(id);
      most = Math.max(most, inHand.size);
      return events;
    };
    const done = outbox.done.bind(outbox);
    outbox.done = async (partition, ids) => {
      for (const id of ids) inHand.delete(id);
      await done(partition, ids);
    };
    const subjects = subjectsOf(30);
    await fill(outbox, subjects, 20);
    const server = await hookServer((hook, response, request) =>
      answer(hook.body['session_id'] === subjects[0] ? 400 : 200)(hook, response, request),
    );
    deliver(outbox, server.url, { pace: { maxAttempts: 1_000 } });
    await until(async () => (await outbox.backlog()).waiting === 20);
    expect(most).toBe(200);
  });

  test('go on after a stream and its group were deleted', async () => {
    const { first: connection, close } = await connectTwo(testRedis().url);
    onCleanup(close);
    const outbox = new RedisOutbox(connection);
    const [subject] = subjectsOf(1) as [string];
    const server = await hookServer(answer(200));
    deliver(outbox, server.url);
    await fill(outbox, [subject], 1);
    await until(async () => (await outbox.backlog()).waiting === 0);
    await connection.commands.del(connection.keys.outbox(partitionOf(subject)));
    await fill(outbox, [subject], 2);
    await until(async () => (await outbox.backlog()).waiting === 0);
    expect(bySession(server.received.map(({ body }) => body))).toEqual({ [subject]: [1, 1, 2] });
  });

  test('wait for a store that is away, and are not sent again', async () => {
    const outbox = memory();
    const [subject] = subjectsOf(1) as [string];
    const done = outbox.done.bind(outbox);
    let refusals = 0;
    outbox.done = async (partition, ids) => {
      if (refusals++ < 1) throw new HoldfastError('store_unavailable', 'away');
      await done(partition, ids);
    };
    const server = await hookServer(answer(200));
    await fill(outbox, [subject], 2);
    deliver(outbox, server.url);
    await until(async () => (await outbox.backlog()).waiting === 0);
    expect(bySession(server.received.map(({ body }) => body))).toEqual({ [subject]: [1, 2] });
  });
});

describe('nodes', () => {
  /** Notes who reads and finishes what. */
  function watched(outbox: Outbox) {
    const holds = new Set<number>();
    const acquire = outbox.acquire.bind(outbox);
    outbox.acquire = async (partition, ...args) => {
      const has = await acquire(partition, ...args);
      if (has) holds.add(partition);
      else holds.delete(partition);
      return has;
    };
    const release = outbox.release.bind(outbox);
    outbox.release = async (partition, ...args) => {
      holds.delete(partition);
      await release(partition, ...args);
    };
    return holds;
  }

  test('share the partitions, never deliver one at the same time, and leave theirs when they end', async () => {
    const [first, second] = await twoRedis();
    const [mine, theirs] = [watched(first), watched(second)];
    const running = new Map<string, number>();
    let overlaps = 0;
    const server = await hookServer(async (hook, response) => {
      const session = String(hook.body['session_id']);
      const before = running.get(session) ?? 0;
      if (before > 0) overlaps += 1;
      running.set(session, before + 1);
      await new Promise((resolve) => setTimeout(resolve, 5));
      running.set(session, (running.get(session) ?? 0) - 1);
      response.end();
    });
    const subjects = subjectsOf(40);
    let stopped = false;
    let added = 0;
    const adding = (async () => {
      while (!stopped) {
        added += 1;
        await Promise.all(
          subjects.map((subject) =>
            first.add({ type: 'session.signal', subject, fields: { session_id: subject, n: added } }),
          ),
        );
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    })();
    const one = deliver(first, server.url);
    await until(() => mine.size === 64);
    const two = deliver(second, server.url);
    await until(() => mine.size === 32 && theirs.size === 32);
    expect([...mine].filter((partition) => theirs.has(partition))).toEqual([]);
    await one.delivery.close();
    expect(mine.size).toBe(0);
    await until(() => theirs.size === 64);
    stopped = true;
    await adding;
    await until(async () => (await first.backlog()).waiting === 0);
    await two.delivery.close();
    expect(theirs.size).toBe(0);
    expect(overlaps).toBe(0);
    const expected = upTo(added);
    const sessions = bySession(server.received.map(({ body }) => body));
    for (const subject of subjects) expect(sessions[subject]).toEqual(expected);
  });

  test('that cannot renew their leases stop in time for others', async () => {
    const outbox = memory();
    const acquire = outbox.acquire.bind(outbox);
    let takenMs = 0;
    outbox.acquire = async (...args) => {
      if (takenMs > 0) throw new HoldfastError('store_unavailable', 'away');
      takenMs = performance.now();
      return acquire(...args);
    };
    let lastMs = 0;
    const server = await hookServer((_hook, response) => {
      lastMs = performance.now();
      response.end();
    });
    const { hook } = deliver(outbox, server.url);
    const [subject] = subjectsOf(1) as [string];
    await until(async () => {
      await fill(outbox, [subject], 1);
      return takenMs > 0 && performance.now() > takenMs + PACE.leaseMs + 100;
    });
    // What begins takes no longer than a call may.
    expect(lastMs - takenMs).toBeLessThan(PACE.leaseMs - hook.timeoutMs);
    expect(lastMs - takenMs).toBeGreaterThan(100);
    expect(await acquire(0, 'another', 1_000)).toBe(true);
  });

  test('that close wait for what is under way and start nothing more', async () => {
    const outbox = memory();
    let finished = 0;
    const server = await hookServer(async (_hook, response) => {
      await new Promise((resolve) => setTimeout(resolve, 100));
      response.end();
      finished += 1;
    });
    await fill(outbox, subjectsOf(6), 1);
    const { delivery } = deliver(outbox, server.url, { concurrency: 2 });
    await until(() => server.received.length === 2);
    await delivery.close();
    expect(finished).toBe(2);
    expect((await outbox.backlog()).waiting).toBe(4);
    expect(await outbox.acquire(0, 'another', 1_000)).toBe(true);
    const rest: OutboxEvent[] = await outbox.read(0, 'another', 10, false);
    expect(rest).toHaveLength(4);
  });
});

test('a full outbox is said once, and that it has room again', async () => {
  const outbox = memory();
  let fullest = OUTBOX_ROOM;
  outbox.backlog = async () => ({ waiting: fullest, fullest, dead: 0 });
  let passedMs = 0;
  const clock = { wallMs: () => Date.now(), monotonicMs: () => performance.now() + passedMs };
  const lines: string[] = [];
  const say = (_fields: object, message: string) => lines.push(message);
  const { hook } = hookClient('http://127.0.0.1:1');
  const { telemetry } = recorded();
  const log = { ...silent, error: say, info: say };
  const delivery = new EventDelivery({ hook, outbox, concurrency: 1, clock, log, telemetry, pace: PACE });
  onCleanup(() => delivery.close());
  delivery.start();
  await until(() => lines.length === 1);
  const reported: number[] = [];
  telemetry.backlog = (backlog) => reported.push(backlog.fullest);
  for (fullest of [OUTBOX_ROOM + 50, 12]) {
    const count = reported.length;
    passedMs += 15_000;
    await until(() => reported.length > count);
  }
  await until(() => lines.length === 2);
  expect(lines).toEqual([
    'events for the application are being dropped, oldest first',
    'no events are dropped any more',
  ]);
});
