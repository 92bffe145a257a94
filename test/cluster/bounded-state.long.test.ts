import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, describe, expect, test } from 'vitest';
import { Application, HOOK_SECRET } from '../support/application.js';
import type { GatewayProcess } from '../support/gateway-process.js';
import { backendCall } from '../support/message-calls.js';
import { RawClient } from '../support/raw-client.js';
import { redisCall } from '../support/redis-process.js';
import { useCluster } from './use-cluster.js';

const MIB = 1_048_576;
const SESSIONS = 10_000;
const BUSY = 100;
const CONNECTIONS = 100;
const GRACE_MS = 10_000;
const HISTORY_AGE_MS = 5_000;
const HISTORY_BYTES = 16_384;
const IDEMPOTENCY_MS = 5_000;
const BUSY_MS = 45_000;
const SAMPLE_EVERY_MS = 3_000;

/** What a partition has once, however many sessions there are; the rest of the keys are of the whole gateway. */
const OF_PARTITION = /\}:(?:deadlines|meta|idle|presence|outbox(?::dead|:lease)?|audit)$/;
const OF_GATEWAY = /^[^{]+:(?:control|outbox:consumers|nodes|\{[^}]+:nodes\}:reports)$/;
/** What a session that is over leaves for a while: who owned it, and where its offsets go on. */
const REMAINS = new Set(['owner', 'pos']);
/** Of which session is to be looked at when. */
const INDEX = /\}:(?:deadlines|presence|idle)$/;
/** The members of a session outlast their entries by two times 90 s. */
const GONE_MS = 240_000;
const DAY_MS = 86_400_000;

const application = new Application();
const folder = mkdtemp(join(tmpdir(), 'holdfast-bounded-'));

describe('10,000 sessions, of which 100 are busy', () => {
  const cluster = useCluster(async () => {
    await application.start();
    const config = join(await folder, 'holdfast.json');
    await writeFile(config, JSON.stringify({ presence: true }));
    const args = [
      ['--config', config],
      ['--max-subscriptions', '1000'],
      ['--messages-per-second', '1000'],
      ['--message-burst', '2000'],
      ['--history-age-ms', `${HISTORY_AGE_MS}`],
      ['--max-message-bytes', '4096'],
      ['--history-bytes', `${HISTORY_BYTES}`],
      ['--events-url', `${application.url}/events`],
      ['--session-idle-ms', '2000'],
    ].flat();
    return { nodes: 2, graceMs: GRACE_MS, args, env: { HOLDFAST_HOOK_SECRET: HOOK_SECRET } };
  });
  afterAll(async () => {
    await application.stop();
    await rm(await folder, { recursive: true });
  });

  const redis = (command: string, ...args: (string | number)[]) => redisCall(cluster().redis.port, command, ...args);
  const sessionId = (index: number) => `many:${index}`;

  async function residentBytes(node: GatewayProcess): Promise<number> {
    const metrics = await (await fetch(`${node.internalUrl}/metrics`)).text();
    return Number(/^process_resident_memory_bytes (\S+)/m.exec(metrics)?.[1]);
  }

  async function sample() {
    const memory = String(await redis('INFO', 'memory'));
    return {
      keys: Number(await redis('DBSIZE')),
      redisBytes: Number(/^used_memory:(\d+)/m.exec(memory)?.[1]),
      nodeBytes: await Promise.all(cluster().nodes.map(residentBytes)),
    };
  }

  /** Each key with its time to live in ms; -1: it has none. */
  async function keysWithTtl(): Promise<[key: string, ttlMs: number][]> {
    const keys = (await redis('KEYS', '*')) as string[];
    const script = 'local t = {} for i, k in ipairs(KEYS) do t[i] = redis.call("PTTL", k) end return t';
    const found: [string, number][] = [];
    for (let start = 0; start < keys.length; start += 1_000) {
      const some = keys.slice(start, start + 1_000);
      const ttls = (await redis('EVAL', script, some.length, ...some)) as number[];
      // One that has just ended is none.
      for (const [index, key] of some.entries()) if (ttls[index] !== -2) found.push([key, ttls[index] ?? 0]);
    }
    return found;
  }

  async function expectTtls(): Promise<void> {
    const endless = (await keysWithTtl()).filter(([, ttlMs]) => ttlMs === -1).map(([key]) => key);
    expect(endless.filter((key) => !OF_PARTITION.test(key) && !OF_GATEWAY.test(key))).toEqual([]);
  }

  /** As a client does it: what fails on a busy machine is asked for again. */
  async function follow(client: RawClient, sessionIds: readonly string[], rest: { claim?: 'never' }): Promise<void> {
    for (const session_id of sessionIds) {
      const subscribe = () => client.request({ type: 'subscribe', session_id, ...rest }, 15_000);
      while ((await subscribe()).type === 'error') await sleep(100);
    }
  }

  /** Each connection owns its share of the sessions, and watches that of another on the other node. */
  async function open(connections: number): Promise<RawClient[]> {
    const share = SESSIONS / connections;
    const idsOf = (index: number) =>
      Array.from({ length: share }, (_, i) => sessionId((index % connections) * share + i));
    // Not the cluster's connections: it would look for a history in frames that are not kept here.
    const urlOf = (index: number) => cluster().node(index % 2).connectUrl;
    const connecting = Array.from({ length: connections }, (_, index) => RawClient.connect(urlOf(index)));
    const clients = await Promise.all(connecting);
    await Promise.all(clients.map((client, index) => follow(client, idsOf(index), {})));
    await Promise.all(clients.map((client, index) => follow(client, idsOf(index + 1), { claim: 'never' })));
    return clients;
  }

  /** The first session of each connection: its owner sends, the application publishes, each under keys of their own. */
  async function talk(clients: readonly RawClient[], untilMs: number): Promise<number> {
    const share = SESSIONS / clients.length;
    let sent = 0;
    while (performance.now() < untilMs) {
      for (const [index, client] of clients.entries()) {
        const session_id = sessionId(index * share);
        client.send({ type: 'send', session_id, data: 'x'.repeat(200) });
        client.send({ type: 'signal', session_id, data: 'y' });
        // What was received is not what is measured here.
        client.frames.length = Math.min(client.frames.length, 1);
      }
      const messages = clients.map((_, index) => ({
        session_id: sessionId(index * share),
        data: 'z'.repeat(200),
        idempotency_key: crypto.randomUUID(),
        idempotency_ms: IDEMPOTENCY_MS,
      }));
      const answer = await backendCall(cluster().node(sent % 2), 'POST', 'messages', { messages });
      expect(answer.status).toBe(200);
      sent += 1;
      await sleep(50);
    }
    return sent;
  }

  test('cost no more the longer they are busy, and leave nothing', async () => {
    application.on('/events', () => ({}));
    const empty = await sample();
    const clients = await open(CONNECTIONS);
    await expectTtls();

    const samples: Awaited<ReturnType<typeof sample>>[] = [];
    const untilMs = performance.now() + BUSY_MS;
    const talking = talk(clients, untilMs);
    while (performance.now() < untilMs) {
      await sleep(SAMPLE_EVERY_MS);
      application.calls.length = 0;
      samples.push(await sample());
    }
    const rounds = await talking;
    const alive = (await keysWithTtl()).length;
    await expectTtls();
    expect(clients.filter(({ closed }) => closed !== undefined)).toEqual([]);

    // The first third fills what has a bound: histories, windows of keys, heaps.
    const [, warm, last] = [0, 1, 2].map((part) => {
      const third = samples.slice((part * samples.length) / 3, ((part + 1) * samples.length) / 3);
      const most = (values: number[]) => Math.max(...values);
      return {
        keys: most(third.map(({ keys }) => keys)),
        redisBytes: most(third.map(({ redisBytes }) => redisBytes)),
        nodeBytes: most(third.flatMap(({ nodeBytes }) => nodeBytes)),
      };
    });
    if (warm === undefined || last === undefined) throw new RangeError('too few samples');
    // Redis leaves about a quarter of what has expired for later.
    expect(last.keys).toBeLessThan(1.6 * alive);
    expect(last.redisBytes).toBeLessThan(warm.redisBytes * 1.1);
    expect(last.nodeBytes - warm.nodeBytes).toBeLessThan(64 * MIB);
    // A session costs a record, a position and its members; a busy one its history and its keys besides.
    const keysOfBusy = BUSY * (1 + (1.5 * IDEMPOTENCY_MS * rounds) / BUSY_MS);
    expect(alive).toBeLessThan(empty.keys + 3 * SESSIONS + keysOfBusy + 64 * 6);
    expect(last.redisBytes - empty.redisBytes).toBeLessThan(
      SESSIONS * 3_000 + BUSY * 4 * HISTORY_BYTES + keysOfBusy * 300 + 30 * MIB,
    );
    expect(last.nodeBytes / MIB).toBeLessThan(500);

    for (const client of clients) client.socket.close(1000);
    await Promise.all(clients.map((client) => client.whenClosed));
    const left = async () => (await keysWithTtl()).filter(([key]) => !OF_PARTITION.test(key) && !OF_GATEWAY.test(key));
    const kinds = async () => new Set((await left()).map(([key]) => key.slice(key.lastIndexOf(':') + 1)));
    const gone = { timeout: GONE_MS, interval: 2_000 };
    await expect.poll(async () => Array.from(await kinds()).filter((kind) => !REMAINS.has(kind)), gone).toEqual([]);
    for (const [key, ttlMs] of await left()) {
      const mostMs = key.endsWith(':owner') ? 3_600_000 + 10_000 : DAY_MS + 2 * HISTORY_AGE_MS;
      expect(ttlMs, key).toBeLessThanOrEqual(mostMs);
      expect(ttlMs, key).toBeGreaterThan(0);
    }
    const indexes = ((await redis('KEYS', '*')) as string[]).filter((key) => INDEX.test(key));
    const sizes = async () =>
      (await Promise.all(indexes.map((key) => redis('ZCARD', key)))).filter((size) => size !== 0);
    await expect.poll(sizes, gone).toEqual([]);
    for (const node of cluster().nodes) {
      const metrics = await (await fetch(`${node.internalUrl}/metrics`)).text();
      expect(
        metrics.split('\n').filter((line) => /^holdfast_(?:connections|leases|sessions)\b.* [1-9]/.test(line)),
      ).toEqual([]);
    }
  }, 420_000);
});
