/** A lone message every few milliseconds: how long a delivery takes, beside `ws.send` to each. */
import { availableParallelism } from 'node:os';
import { type Contender, contender, peer, publishBy } from './contender.js';
import { startMemoryGateway, UNLIMITED } from './gateway.js';
import { cpuSeconds, keepOn, type Peer } from './process.js';
import type { Kind, Route } from './publishers.js';
import { median, table } from './report.js';

const SUBSCRIBERS = 150;
/** How busy the bare server is to be, and how often it is told something to find out. */
const LOAD = 0.2;
const PROBE_MS = 10;
const MESSAGES = 400;
/** As servers are that have been up for a while: what is compiled while they are measured is not what is measured. */
const BUSY_BEFORE_MS = 5_000;
const BUSY_WINDOW = 50;
const WARM_UP_ROUNDS = 1;
const ROUNDS = 9;

interface Paced {
  contender: Contender;
  p50Ms: number[];
  p99Ms: number[];
  load: number[];
}

async function paced(name: string, server: { pid: number; port: number }, kind: Kind, via: Route['via']) {
  const { pid, port } = server;
  const it = await contender(name, [pid], { kind, ports: [port], count: SUBSCRIBERS });
  await publishBy(it, { kind, port, via, batch: 1 });
  return { contender: it, p50Ms: [], p99Ms: [], load: [] } satisfies Paced;
}

/**
 * The servers on one CPU, who waits for them on the others: else the kernel wakes an audience on the CPU of the server
 * that is still writing to the rest of it, which no server would see of clients on other machines.
 */
function setApart(all: readonly Paced[]): void {
  const last = availableParallelism() - 1;
  if (last === 0) return;
  for (const { contender: it } of all) {
    for (const pid of it.pids) keepOn('0', pid);
    keepOn(last === 1 ? '1' : `1-${last}`, it.audience.pid);
  }
}

async function round({ contender: { audience, pids } }: Paced, everyMs: number) {
  const [pid = 0] = pids;
  const before = cpuSeconds(pid);
  const startedMs = performance.now();
  const latencies = await audience.call('pace', everyMs, MESSAGES);
  return { ...latencies, load: ((cpuSeconds(pid) - before) / (performance.now() - startedMs)) * 1000 };
}

function report(all: readonly Paced[], everyMs: number): void {
  const ms = (values: readonly number[]) => median(values).toFixed(2);
  table(
    `${SUBSCRIBERS} subscribers, a message every ${everyMs} ms: ms until delivered, medians of ${ROUNDS} rounds in turn`,
    ['server', 'p50', 'p99', 'CPU'],
    all.map(({ contender: { name }, p50Ms, p99Ms, load }) => [
      name,
      ms(p50Ms),
      ms(p99Ms),
      `${(median(load) * 100).toFixed(0)} %`,
    ]),
  );
  const [bySocket, ours, byPost, oursByPost] = all as [Paced, Paced, Paced, Paced];
  for (const [what, one, other] of [
    ['send', ours, bySocket],
    ['POST', oursByPost, byPost],
  ] as const) {
    const difference = (of: 'p50Ms' | 'p99Ms') => {
      const value = median(one[of].map((mine, index) => mine - (other[of][index] ?? Number.NaN)));
      return `${value > 0 ? '+' : ''}${value.toFixed(2)} ms`;
    };
    console.log(`  holdfast against ws by ${what}: p50 ${difference('p50Ms')}, p99 ${difference('p99Ms')}`);
  }
}

export async function latency(): Promise<void> {
  // One for each route, or one would have twice the subscribers.
  const started = [peer('naive-ws'), startMemoryGateway(UNLIMITED), peer('naive-ws'), startMemoryGateway(UNLIMITED)];
  const servers = await Promise.all(started);
  const all: Paced[] = [];
  try {
    const [naive, gateway, naiveByPost, gatewayByPost] = servers as [Peer, Peer, Peer, Peer];
    all.push(await paced('ws, send to each', naive, 'relay', 'frame'));
    all.push(await paced('holdfast, send', gateway, 'holdfast', 'frame'));
    all.push(await paced('ws, send to each, by POST', naiveByPost, 'relay', 'post'));
    all.push(await paced('holdfast, POST', gatewayByPost, 'holdfast', 'post'));
    setApart(all);
    for (const it of all) await it.contender.audience.call('saturate', BUSY_BEFORE_MS, BUSY_WINDOW);
    const [bare] = all as [Paced];
    const everyMs = Math.max(1, Math.round(((await round(bare, PROBE_MS)).load / LOAD) * PROBE_MS));
    for (let turn = 0; turn < WARM_UP_ROUNDS + ROUNDS; turn++) {
      for (const it of turn % 2 === 0 ? all : all.toReversed()) {
        const { p50Ms, p99Ms, load } = await round(it, everyMs);
        if (turn < WARM_UP_ROUNDS) continue;
        it.p50Ms.push(p50Ms);
        it.p99Ms.push(p99Ms);
        it.load.push(load);
      }
    }
    report(all, everyMs);
  } finally {
    await Promise.all([...all.map(({ contender: it }) => it.audience.stop()), ...servers.map((it) => it.stop())]);
  }
}
