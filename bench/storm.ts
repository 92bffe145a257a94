/**
 * Owners cut at once and back: what it costs the servers, beside bare `ws` reconnects (accept, one echo) and Socket.IO
 * with connection state recovery in memory.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { startPrivateRedis } from '../test/support/redis.js';
import { startRedisGateway } from './gateway.js';
import { cpuSeconds, startPeer } from './process.js';
import { inParallel, RawSocket } from './raw-socket.js';
import { median, ratio, table } from './report.js';

const CLIENTS = 5_000;
/** How long the clients' backoff spreads their return. */
const SPREAD_MS = 2_000;
const GRACE_MS = 60_000;
const PATIENCE_MS = 60_000;
const WARM_UP_ROUNDS = 2;
const ROUNDS = 5;
/** Between the rounds: longer than an unused channel lingers. */
const SETTLE_MS = 3_000;

interface Result {
  cpuSeconds: number;
  seconds: number;
  back: number;
}

/** A client's protocol: what it says after connecting, and how it knows that it has its session (again). */
interface Client {
  socket: RawSocket | undefined;
  /** Resolves when it is back, with whether it has its session. */
  connect(): Promise<boolean>;
}

async function round(clients: readonly Client[], pids: readonly number[]): Promise<Result> {
  const cpuBefore = pids.map(cpuSeconds);
  const startedMs = performance.now();
  for (const client of clients) client.socket?.cut();
  let back = 0;
  const all = Promise.all(
    clients.map(async (client) => {
      await sleep(Math.random() * SPREAD_MS);
      if (await client.connect()) back++;
    }),
  );
  await Promise.race([all, sleep(PATIENCE_MS, undefined, { ref: false })]);
  const seconds = (performance.now() - startedMs) / 1000;
  const used = pids.reduce((sum, pid, index) => sum + cpuSeconds(pid) - (cpuBefore[index] ?? 0), 0);
  return { cpuSeconds: used, seconds, back };
}

interface Contender {
  name: string;
  clients: readonly Client[];
  pids: readonly number[];
  results: Result[];
}

function contender(name: string, servers: readonly { pid: number }[], make: (index: number) => Client): Contender {
  const clients = Array.from({ length: CLIENTS }, (_, index) => make(index));
  return { name, clients, pids: servers.map(({ pid }) => pid), results: [] };
}

/**
 * The contenders take turns, round by round, so that what else the machine does hits all of them. The first rounds, in
 * which code is compiled, do not count.
 */
async function storms(contenders: readonly Contender[], onWarm: () => Promise<void>): Promise<void> {
  for (const { name, clients } of contenders) {
    await inParallel(clients.length, 100, async (index) => {
      if (!(await clients[index]?.connect())) throw new Error(`a client of ${name} did not get its session at first`);
    });
  }
  for (let index = 0; index < WARM_UP_ROUNDS + ROUNDS; index++) {
    if (index === WARM_UP_ROUNDS) await onWarm();
    for (const { clients, pids, results } of contenders) {
      await sleep(SETTLE_MS);
      const result = await round(clients, pids);
      if (index >= WARM_UP_ROUNDS) results.push(result);
    }
  }
  for (const { clients } of contenders) for (const client of clients) client.socket?.cut();
}

/** The median over the rounds of what one contender used against another. */
function against(one: Contender, other: Contender): number {
  return median(
    one.results.map(({ cpuSeconds: cpu }, index) => cpu / (other.results[index]?.cpuSeconds ?? Number.NaN)),
  );
}

function answerOf(
  socket: RawSocket,
  say: string | undefined,
  done: (text: string) => boolean | undefined,
): Promise<boolean> {
  return new Promise((resolve) => {
    socket.onText = (text) => {
      const result = done(text);
      if (result !== undefined) resolve(result);
    };
    if (say !== undefined) socket.send(say);
  });
}

function bareClient(ports: readonly number[], index: number): Client {
  let turn = index;
  return {
    socket: undefined,
    async connect() {
      this.socket = await RawSocket.open(ports[turn++ % ports.length] ?? 0, '/');
      return answerOf(this.socket, '{"type":"hello"}', () => true);
    },
  };
}

function socketIoClient(port: number, index: number): Client {
  let pid = '';
  let offset = '';
  let first = true;
  let recovered = false;
  return {
    socket: undefined,
    async connect() {
      const socket = await RawSocket.open(port, '/socket.io/?EIO=4&transport=websocket');
      this.socket = socket;
      return answerOf(socket, undefined, (text) => {
        if (text.startsWith('0')) socket.send(offset === '' ? '40' : `40${JSON.stringify({ pid, offset })}`);
        else if (text.startsWith('40')) {
          pid = (JSON.parse(text.slice(2)) as { pid: string }).pid;
          socket.send(`420["drive","s${index}"]`);
        } else if (text.startsWith('430')) {
          recovered = (JSON.parse(text.slice(3)) as [boolean])[0];
        } else if (text.startsWith('42')) {
          offset = (JSON.parse(text.slice(2)) as [string, string])[1];
          const expected = first || recovered;
          first = false;
          return expected;
        }
        return undefined;
      });
    },
  };
}

function holdfastClient(ports: readonly number[], index: number): Client {
  let reconnectToken: string | undefined;
  let turn = index;
  return {
    socket: undefined,
    async connect() {
      // Never the node of the last time.
      const port = ports[turn++ % ports.length] ?? 0;
      this.socket = await RawSocket.open(port, '/v1/connect');
      const subscribe = { type: 'subscribe', session_id: `storm:${index}`, reconnect_token: reconnectToken };
      return answerOf(this.socket, JSON.stringify(subscribe), (text) => {
        const message = JSON.parse(text) as { type: string; owner?: boolean; reconnect_token?: string };
        if (message.type === 'error') return false;
        if (message.type !== 'subscribe_ack') return undefined;
        reconnectToken = message.reconnect_token;
        return message.owner === true;
      });
    },
  };
}

/** The longest delay of the event loop since the last call, in ms, as the node's own metrics tell it. */
async function stallMs(internalUrl: string): Promise<number> {
  const text = await (await fetch(`${internalUrl}/metrics`)).text();
  return Number(/^nodejs_eventloop_lag_max_seconds (\S+)$/m.exec(text)?.[1]) * 1000;
}

export async function reconnectStorm(): Promise<void> {
  const peer = (name: string) => startPeer(fileURLToPath(new URL(`./peers/${name}.mjs`, import.meta.url)));
  const bareServers = await Promise.all([peer('bare-ws'), peer('bare-ws')]);
  const ioServer = await peer('socket-io');
  const redis = await startPrivateRedis();
  const nodes = await Promise.all(['n1', 'n2'].map((id) => startRedisGateway(id, redis.url, GRACE_MS)));
  try {
    const barePorts = bareServers.map(({ port }) => port);
    const ports = nodes.map(({ port }) => port);
    const bare = contender('bare ws (2 processes)', bareServers, (index) => bareClient(barePorts, index));
    const io = contender('Socket.IO, recovery in memory (1 process)', [ioServer], (index) =>
      socketIoClient(ioServer.port, index),
    );
    const ours = contender('holdfast (2 nodes, Redis)', nodes, (index) => holdfastClient(ports, index));
    const readStalls = () => Promise.all(nodes.map(({ internalUrl }) => stallMs(internalUrl)));
    let redisBefore = 0;
    await storms([bare, io, ours], async () => {
      await readStalls();
      redisBefore = cpuSeconds(redis.pid);
    });
    const stalls = await readStalls();
    const redisUsed = (cpuSeconds(redis.pid) - redisBefore) / ROUNDS;
    table(
      `${CLIENTS} owners cut at once, back within ${SPREAD_MS} ms of backoff, medians of ${ROUNDS} rounds in turn`,
      ['servers', 'have their session', 's until all are', 'CPU s', 'against bare ws'],
      [bare, io, ours].map((it) => [
        it.name,
        `${Math.min(...it.results.map(({ back }) => back))} of ${CLIENTS}`,
        median(it.results.map(({ seconds }) => seconds)).toFixed(1),
        median(it.results.map(({ cpuSeconds: cpu }) => cpu)).toFixed(2),
        ratio(against(it, bare)),
      ]),
    );
    console.log(`  holdfast against bare ws:   ${ratio(against(ours, bare), { atMost: 2.5 })}`);
    console.log(`  holdfast against Socket.IO: ${ratio(against(ours, io), { atMost: 1 })}`);
    console.log(`  Redis used ${redisUsed.toFixed(2)} CPU s a round`);
    console.log(
      `  longest event-loop delay of a node in any round: ${Math.max(...stalls).toFixed(0)} ms (wanted ≤ 200 ms)`,
    );
  } finally {
    await Promise.all([...nodes.map((node) => node.kill()), ...bareServers.map((it) => it.stop()), ioServer.stop()]);
    await redis.stop();
  }
}
