import type { ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, expect, test } from 'vitest';
import { newSession, useCluster } from '../cluster/use-cluster.js';
import { Application, HOOK_SECRET, type HookCall } from '../support/application.js';
import { RawClient } from '../support/raw-client.js';
import { redisCall } from '../support/redis-process.js';

const FAULTS_MS = 30_000;
const SETTLE_MS = 40_000;
const SESSIONS = 40;
const IDLE_MS = 2_000;

const application = new Application();
afterAll(() => application.stop());

const cluster = useCluster(async () => {
  await application.start();
  const args = [
    ['--events-url', `${application.url}/events`],
    ['--hook-timeout-ms', '500'],
    ['--session-idle-ms', `${IDLE_MS}`],
    ['--drain-ms', '1000'],
    ['--messages-per-second', '1000'],
  ].flat();
  return { nodes: 3, graceMs: 1_500, args, env: { HOLDFAST_HOOK_SECRET: HOOK_SECRET } };
});

const shuffled = <T>(from: readonly T[]): T[] => from.toSorted(() => Math.random() - 0.5);
const pick = <T>(from: readonly T[]): T => from[Math.floor(Math.random() * from.length)] as T;

/** What the application has taken in, whether or not the gateway came to know. */
const taken: HookCall[] = [];
const take = (call: HookCall) => void taken.push(call);

type Mood = (call: HookCall, response: ServerResponse) => void;

/** How the application is, at its best and otherwise. */
const MOODS: Record<string, Mood> = {
  well: (call, response) => {
    take(call);
    response.writeHead(204).end();
  },
  'losing answers': (call, response) => {
    take(call);
    response.destroy();
  },
  'cutting answers off': (call, response) => {
    take(call);
    response.writeHead(200, { 'content-length': '100' }).write('half');
    setTimeout(() => response.destroy(), 50);
  },
  'never done answering': (call, response) => {
    take(call);
    response.writeHead(200).write('more');
  },
  silent: () => {},
  'switching protocols': (_call, response) => {
    response.socket?.end('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n');
  },
  failing: (_call, response) => void response.writeHead(500).end(),
  overloaded: (_call, response) => void response.writeHead(503).end(),
  redirecting: (_call, response) => void response.writeHead(302, { location: `${application.url}/other` }).end(),
};

function feel(mood: string): void {
  application.answers.set('/events', MOODS[mood] as Mood);
}

/** Takes, keeps, loses and frees a session for as long as it is let, on whatever node there is. */
async function use(sessionId: string, goesOn: () => boolean): Promise<void> {
  let token: string | undefined;
  while (goesOn()) {
    try {
      const client = await RawClient.connect(pick(cluster().nodes).connectUrl);
      const ack = await client.subscribe(sessionId, token === undefined ? {} : { reconnect_token: token });
      token = ack.reconnect_token;
      for (let turns = Math.floor(Math.random() * 6); turns > 0 && ack.owner; turns -= 1) {
        await client.release(sessionId);
        await client.request({ type: 'claim', session_id: sessionId });
        token = client.all('claim_ack').at(-1)?.reconnect_token;
      }
      client.terminate();
      await sleep(Math.random() * 200);
    } catch {
      await sleep(100);
    }
  }
}

async function waiting(): Promise<number> {
  const sum =
    "local n = 0 for _, key in ipairs(redis.call('KEYS', ARGV[1])) do n = n + redis.call('XLEN', key) end return n";
  return (await redisCall(cluster().redis.port, 'EVAL', sum, 0, '*:outbox')) as number;
}

test(
  'events: none lost, in order, repeated under their own id only, whoever dies meanwhile',
  async () => {
    feel('well');
    const sessions = Array.from({ length: SESSIONS }, () => newSession());
    let over = false;
    const users = sessions.map((sessionId) => use(sessionId, () => !over));
    const done: string[] = [];
    const faults: Record<string, () => Promise<unknown>> = {
      kill: async () => {
        const node = pick(cluster().nodes);
        await node.kill();
        await sleep(Math.random() * 1_000);
        await node.start();
      },
      drain: async () => {
        const node = pick(cluster().nodes);
        await node.stop();
        await node.start();
      },
      freeze: async () => {
        const node = pick(cluster().nodes);
        node.pause();
        await sleep(Math.random() * 3_000);
        node.resume();
      },
      pubsub: () => redisCall(cluster().redis.port, 'CLIENT', 'KILL', 'TYPE', 'pubsub'),
      down: async () => {
        await application.stop();
        await sleep(1_500);
        await application.start();
      },
    };
    const until = async (endMs: number, names: readonly string[], act: (name: string) => unknown) => {
      for (let i = 0; performance.now() < endMs; i += 1) {
        const name = names[i % names.length] ?? '';
        done.push(name);
        await act(name);
        await sleep(Math.random() * 1_000);
      }
    };
    const endMs = performance.now() + FAULTS_MS;
    await Promise.all([
      until(endMs, shuffled(Object.keys(faults)), (name) => faults[name]?.()),
      until(endMs, shuffled([...Object.keys(MOODS), 'well', 'well']), feel),
    ]);
    over = true;
    await Promise.all(users);
    feel('well');
    await cluster().heal();

    // Whatever was owned or held lapses, becomes idle, and all of it is told.
    const isTold = async () => {
      const idle = new Set(
        taken.filter(({ body }) => body['type'] === 'session.idle').map(({ body }) => body['session_id']),
      );
      return idle.size === SESSIONS && (await waiting()) === 0;
    };
    await sleep(3 * 1_500 + IDLE_MS);
    await expect
      .poll(isTold, { timeout: SETTLE_MS, interval: 250, message: `told after ${done.join(', ')}` })
      .toBe(true);

    const why = `after ${done.join(', ')}`;
    expect(
      taken.filter(({ genuine, id, body }) => !genuine || id !== body['id']),
      why,
    ).toEqual([]);
    expect(application.callsOf('/other'), why).toEqual([]);
    expect(await redisCall(cluster().redis.port, 'KEYS', '*:outbox:dead'), why).toEqual([]);
    let changes = 0;
    for (const sessionId of sessions) {
      const first = new Map<string, HookCall['body']>();
      for (const { id, body } of taken) if (body['session_id'] === sessionId && !first.has(id)) first.set(id, body);
      const events = [...first.values()];
      const revs = events.filter(({ type }) => type !== 'session.idle').map(({ rev }) => Number(rev));
      const [key] = (await redisCall(cluster().redis.port, 'KEYS', `*:s:${sessionId}:owner`)) as string[];
      const top = Number(await redisCall(cluster().redis.port, 'HGET', key ?? '', 'rev'));
      // Each change has the next number, so this says that none is missing, none is there twice, and none is early.
      expect(revs, `${sessionId} ${why}`).toEqual(Array.from({ length: top }, (_, i) => i + 1));
      changes += top;
      const types = events.map(({ type }) => String(type));
      const early = types.filter((type, i) => type === 'session.idle' && types[i - 1] !== 'session.released');
      expect(early, `${sessionId} ${types.join(', ')}`).toEqual([]);
      expect(types.at(-1), sessionId).toBe('session.idle');
    }
    expect(changes).toBeGreaterThan(2_000);
    console.log(`${changes} changes, ${taken.length} deliveries; ${why}`);
  },
  FAULTS_MS + SETTLE_MS + 60_000,
);
