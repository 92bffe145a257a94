/** Many come back to one session after a gap: what the nodes read for them, and what a delivery costs. */
import { setTimeout as sleep } from 'node:timers/promises';
import { type PrivateRedis, startPrivateRedis } from '../test/support/redis.js';
import { AudienceProcess } from './audience-process.js';
import { type Contender, efficiency, measured, type Round } from './contender.js';
import { startRedisGateway, UNLIMITED } from './gateway.js';
import { callsOf } from './redis-stats.js';
import { median, ratio, table } from './report.js';

const WATCHERS_PER_NODE = 1_000;
const MISSED = 1_000;
const BATCH = 100;
const LIVE_MS = 1_000;
const ROUNDS = 5;
const GRACE_MS = 60_000;
/** Longer than a node keeps anything of a session that nobody follows. */
const LINGER_MS = 3_000;
/** Of the history's script. */
const READ_STEP = 16;
const ARGS = [...UNLIMITED, '--history-count', '100000', '--history-bytes', `${64 * 1024 * 1024}`];

interface Outcome {
  /** Those who subscribe without having missed anything. */
  arrival: Round;
  recovery: Round;
  live: Round;
  reads: number;
}

/** What the history's script calls, forwards or backwards. */
async function reads(redis: PrivateRedis): Promise<number> {
  return (await callsOf(redis, 'xrange')) + (await callsOf(redis, 'xrevrange'));
}

async function oneRound(redis: PrivateRedis, nodes: readonly { pid: number; port: number }[]): Promise<Outcome> {
  const ports = nodes.map(({ port }) => port);
  const audience = new AudienceProcess();
  const it: Contender = { name: '', audience, pids: nodes.map(({ pid }) => pid), rounds: [] };
  const later = { kind: 'holdfast', ports, count: WATCHERS_PER_NODE * ports.length, later: true } as const;
  try {
    const since = await audience.call('open', { kind: 'holdfast', ports, count: ports.length });
    if (since === undefined) throw new Error('no position');
    await audience.call('publisher', { kind: 'holdfast', port: ports[0] ?? 0, via: 'post', batch: BATCH });
    await audience.call('publish', MISSED);
    await audience.call('leave');
    await audience.call('open', later);
    const top = { ...since, offset: since.offset + MISSED };
    const arrival = await measured(it, () => audience.call('rejoin', top, 0));
    await audience.call('leave');
    await sleep(LINGER_MS);
    await audience.call('open', later);
    const before = await reads(redis);
    const recovery = await measured(it, () => audience.call('rejoin', since, MISSED));
    const read = (await reads(redis)) - before;
    await audience.call('publisher', { kind: 'holdfast', port: ports[0] ?? 0, via: 'post', batch: BATCH });
    const live = await measured(it, () => audience.call('saturate', LIVE_MS, BATCH * 2));
    return { arrival, recovery, live, reads: read };
  } finally {
    await audience.stop();
  }
}

const cpuOf = ({ cpu }: Round) => cpu.reduce((sum, value) => sum + value, 0);

/** Deliveries per CPU second of both nodes, of what is left when the subscribing itself is taken off. */
function withoutArrival({ arrival, recovery: round }: Outcome): number {
  return round.delivered / (cpuOf(round) - cpuOf(arrival));
}

export async function recovery(): Promise<void> {
  const redis = await startPrivateRedis();
  const nodes = await Promise.all(['n1', 'n2'].map((id) => startRedisGateway(id, redis.url, GRACE_MS, ARGS)));
  try {
    // In the first, code is compiled.
    await oneRound(redis, nodes);
    const outcomes: Outcome[] = [];
    for (let round = 0; round < ROUNDS; round++) outcomes.push(await oneRound(redis, nodes));
    const row = (name: string, rateOf: (outcome: Outcome) => number, wanted?: { atLeast: number }) => [
      name,
      Math.round(median(outcomes.map(rateOf)) / 1000),
      ratio(median(outcomes.map((outcome) => rateOf(outcome) / efficiency(outcome.live, true))), wanted),
    ];
    table(
      `${WATCHERS_PER_NODE} watchers on each of 2 nodes miss ${MISSED} messages: thousands of deliveries per CPU second of both nodes, medians of ${ROUNDS} rounds`,
      ['', 'thousands', 'against live'],
      [
        row('live', ({ live }) => efficiency(live, true)),
        row('what was missed', withoutArrival, { atLeast: 0.8 }),
        row('what was missed, subscribing included', (outcome) => efficiency(outcome.recovery, true)),
      ],
    );
    const arrivalMs = median(outcomes.map(({ arrival }) => (cpuOf(arrival) / nodes.length / WATCHERS_PER_NODE) * 1000));
    console.log(`  subscribing itself: ${arrivalMs.toFixed(2)} ms of CPU each`);
    console.log(`  until all have it: ${median(outcomes.map((it) => it.recovery.seconds)).toFixed(1)} s`);
    const perNode = outcomes.map((outcome) => outcome.reads / nodes.length).join(', ');
    console.log(
      `  reads of the stream per node, ${READ_STEP} messages each: ${perNode} (${Math.ceil(MISSED / READ_STEP)} read it once)`,
    );
  } finally {
    await Promise.all(nodes.map((node) => node.kill()));
    await redis.stop();
  }
}
