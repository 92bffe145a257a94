/** A lone message every few milliseconds: how long a delivery takes, beside `ws.send` to each. */
import { type Contender, contender, peer, publishBy } from './contender.js';
import { startMemoryGateway, UNLIMITED } from './gateway.js';
import { cpuSeconds } from './process.js';
import type { Kind, Route } from './publishers.js';
import { median, table } from './report.js';

/** So that the bare server works a fifth of the time. */
const SUBSCRIBERS = 150;
const EVERY_MS = 5;
const MESSAGES = 600;
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

async function round({ contender: { audience, pids } }: Paced) {
  const [pid = 0] = pids;
  const before = cpuSeconds(pid);
  const startedMs = performance.now();
  const latencies = await audience.call('pace', EVERY_MS, MESSAGES);
  return { ...latencies, load: ((cpuSeconds(pid) - before) / (performance.now() - startedMs)) * 1000 };
}

function report(all: readonly Paced[]): void {
  const ms = (values: readonly number[]) => median(values).toFixed(2);
  table(
    `${SUBSCRIBERS} subscribers, a message every ${EVERY_MS} ms: ms until delivered, medians of ${ROUNDS} rounds in turn`,
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
  const servers = await Promise.all([peer('naive-ws'), peer('naive-ws'), startMemoryGateway(UNLIMITED)]);
  const all: Paced[] = [];
  try {
    const [naive, other, gateway] = servers;
    all.push(await paced('ws, send to each', naive, 'relay', 'frame'));
    all.push(await paced('holdfast, send', gateway, 'holdfast', 'frame'));
    all.push(await paced('ws, send to each, by POST', other, 'relay', 'post'));
    all.push(await paced('holdfast, POST', gateway, 'holdfast', 'post'));
    for (const it of all) await it.contender.audience.call('saturate', BUSY_BEFORE_MS, BUSY_WINDOW);
    for (let turn = 0; turn < WARM_UP_ROUNDS + ROUNDS; turn++) {
      for (const it of turn % 2 === 0 ? all : all.toReversed()) {
        const { p50Ms, p99Ms, load } = await round(it);
        if (turn < WARM_UP_ROUNDS) continue;
        it.p50Ms.push(p50Ms);
        it.p99Ms.push(p99Ms);
        it.load.push(load);
      }
    }
    report(all);
  } finally {
    await Promise.all([...all.map(({ contender: it }) => it.audience.stop()), ...servers.map((it) => it.stop())]);
  }
}
