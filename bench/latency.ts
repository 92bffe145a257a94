/** A lone message every few milliseconds: how long a delivery takes, beside `ws.send` to each. */
import { type Contender, contender, peer, publishBy } from './contender.js';
import { startMemoryGateway, UNLIMITED } from './gateway.js';
import { allowedCpus, cpuSeconds, keepOn, type Peer } from './process.js';
import type { Kind, Route } from './publishers.js';
import { median, table } from './report.js';

const SUBSCRIBERS = 150;
/** How busy the bare server is to be, and how often it is told something to find out. */
const LOAD = 0.2;
const PROBE_MS = 10;
const MESSAGES = 250;
/** Of processes: two of the same program differ for as long as they run. */
const SETS = 3;
const ROUNDS = 5;
/** As servers are that have been up for a while: what is compiled while they are measured is not what is measured. */
const BUSY_BEFORE_MS = 5_000;
const BUSY_WINDOW = 50;

interface Server {
  name: string;
  kind: Kind;
  via: Route['via'];
  oneStalls?: boolean;
  start(): Promise<Peer>;
}

const bare = () => peer('naive-ws');
const gateway = () => startMemoryGateway(UNLIMITED);

const SERVERS: readonly Server[] = [
  { name: 'ws, send to each', kind: 'relay', via: 'frame', start: bare },
  { name: 'holdfast, send', kind: 'holdfast', via: 'frame', start: gateway },
  { name: 'ws, send to each, by POST', kind: 'relay', via: 'post', start: bare },
  { name: 'holdfast, POST', kind: 'holdfast', via: 'post', start: gateway },
  { name: 'holdfast, send, one reads nothing', kind: 'holdfast', via: 'frame', oneStalls: true, start: gateway },
];

interface Round {
  p50Ms: number;
  p99Ms: number;
  load: number;
}

async function paced({ audience, pids: [pid = 0] }: Contender, everyMs: number): Promise<Round> {
  const before = cpuSeconds(pid);
  const startedMs = performance.now();
  const latencies = await audience.call('pace', everyMs, MESSAGES);
  return { ...latencies, load: ((cpuSeconds(pid) - before) / (performance.now() - startedMs)) * 1000 };
}

/**
 * The servers on one CPU, who waits for them on the others: else the kernel wakes an audience on the CPU of the server
 * that is still writing to the rest of it, which no server would see of clients on other machines.
 */
function setApart(contenders: readonly Contender[]): void {
  const [first = 0, ...others] = allowedCpus();
  if (others.length === 0) return;
  for (const { pids, audience } of contenders) {
    for (const pid of pids) keepOn([first], pid);
    keepOn(others, audience.pid);
  }
}

/** One set of processes. @param measured of each server: gets the rounds */
async function measureSet(measured: readonly Round[][]): Promise<void> {
  const peers: Peer[] = [];
  const contenders: Contender[] = [];
  try {
    for (const { name, kind, via, oneStalls = false, start } of SERVERS) {
      const started = await start();
      peers.push(started);
      const { pid, port } = started;
      const it = await contender(name, [pid], { kind, ports: [port], count: SUBSCRIBERS, oneStalls });
      contenders.push(it);
      await publishBy(it, { kind, port, via, batch: 1 });
    }
    setApart(contenders);
    for (const { audience } of contenders) await audience.call('saturate', BUSY_BEFORE_MS, BUSY_WINDOW);
    const { load } = await paced(contenders[0] as Contender, PROBE_MS);
    const everyMs = Math.max(1, Math.round((load / LOAD) * PROBE_MS));
    for (let round = 0; round < ROUNDS; round++) {
      const order = [...contenders.entries()];
      for (const [index, it] of round % 2 === 0 ? order : order.toReversed()) {
        measured[index]?.push(await paced(it, everyMs));
      }
    }
  } finally {
    await Promise.all(contenders.map(({ audience }) => audience.stop()));
    await Promise.all(peers.map((it) => it.stop()));
  }
}

function report(measured: readonly Round[][]): void {
  const ms = (rounds: readonly Round[], of: 'p50Ms' | 'p99Ms') => median(rounds.map((it) => it[of])).toFixed(2);
  table(
    `${SUBSCRIBERS} subscribers, lone messages: ms until delivered, medians of ${SETS * ROUNDS} rounds in turn`,
    ['server', 'p50', 'p99', 'CPU'],
    measured.map((rounds, index) => [
      SERVERS[index]?.name ?? '',
      ms(rounds, 'p50Ms'),
      ms(rounds, 'p99Ms'),
      `${(median(rounds.map(({ load }) => load)) * 100).toFixed(0)} %`,
    ]),
  );
  const [bySocket = [], ours = [], byPost = [], oursByPost = [], besideOne = []] = measured;
  for (const [what, mine, others] of [
    ['holdfast against ws by send', ours, bySocket],
    ['holdfast against ws by POST', oursByPost, byPost],
    ['with one that reads nothing against without', besideOne, ours],
  ] as const) {
    const difference = (of: 'p50Ms' | 'p99Ms') => {
      const value = median(mine.map((round, index) => round[of] - (others[index]?.[of] ?? Number.NaN)));
      return `${value > 0 ? '+' : ''}${value.toFixed(2)} ms`;
    };
    console.log(`  ${what}: p50 ${difference('p50Ms')}, p99 ${difference('p99Ms')}`);
  }
}

export async function latency(): Promise<void> {
  const measured = SERVERS.map((): Round[] => []);
  for (let set = 1; set <= SETS; set++) {
    console.log(`  processes ${set} of ${SETS}`);
    await measureSet(measured);
  }
  report(measured);
}
