/** One session, many subscribers: what a delivery costs the server. */
import {
  against,
  type Contender,
  contender,
  type Measured,
  medianEfficiency,
  peer,
  publishBy,
  takeTurns,
} from './contender.js';
import { startMemoryGateway, UNLIMITED } from './gateway.js';
import type { Peer } from './process.js';
import { DATA, type Kind } from './publishers.js';
import { ratio, table } from './report.js';

const SUBSCRIBERS = [100, 1_000, 5_000];
/** Of processes: two of the same program differ by a tenth, for as long as they run. */
const SETS = 3;
const ROUND_MS = 500;
export const FAN_OUT_ROUNDS = 6;
/** Of those that are slower by an order of magnitude. */
const SLOW_ROUNDS = 1;
/** As servers are that have been up for a while: in their first seconds, code is compiled. */
const BUSY_BEFORE_MS = 6_000;
const SLOW_BUSY_BEFORE_MS = 500;
/** Messages on their way to each subscriber: enough to saturate, and few enough that the slowest ends a round soon. */
const WINDOW = 200;
const MAX_WINDOW_DELIVERIES = 100_000;
const BATCH = 100;

interface Server {
  name: string;
  kind: Kind;
  isSlow?: true;
  start(): Promise<Peer>;
}

const SERVERS: readonly Server[] = [
  { name: 'batched bare sockets', kind: 'relay', start: () => peer('batched-raw') },
  { name: 'batched ws', kind: 'relay', start: () => peer('batched-ws') },
  { name: 'holdfast', kind: 'holdfast', start: () => startMemoryGateway(UNLIMITED) },
  { name: 'ws, send to each', kind: 'relay', isSlow: true, start: () => peer('naive-ws') },
  { name: 'Socket.IO', kind: 'socket.io', isSlow: true, start: () => peer('socket-io-room') },
];

const WAYS = [
  { title: 'a frame each', batch: 1, viaPost: false },
  { title: `${BATCH} in one frame, to holdfast in one POST`, batch: BATCH, viaPost: true },
];

/** Rounds of deliveries at saturation, for all of them in turns. */
export async function saturated(
  contenders: readonly Contender[],
  subscribers: number,
  batch: number,
  { rounds, busyBeforeMs } = { rounds: FAN_OUT_ROUNDS, busyBeforeMs: BUSY_BEFORE_MS },
): Promise<void> {
  const window = Math.max(batch, Math.min(WINDOW, Math.floor(MAX_WINDOW_DELIVERIES / subscribers)));
  const saturate = (it: Contender, forMs: number) => it.audience.call('saturate', forMs, window);
  for (const it of contenders) await saturate(it, busyBeforeMs);
  await takeTurns(contenders, { warmUp: 1, rounds }, (it) => saturate(it, ROUND_MS));
}

/** One set of processes. @param measured of each way, of each server: gets the rounds */
async function measureSet(subscribers: number, measured: readonly (readonly Measured[])[]): Promise<void> {
  const peers: Peer[] = [];
  const contenders: Contender[] = [];
  try {
    for (const { name, kind, start } of SERVERS) {
      const started = await start();
      peers.push(started);
      contenders.push(await contender(name, [started.pid], { kind, ports: [started.port], count: subscribers }));
    }
    for (const [way, { batch, viaPost }] of WAYS.entries()) {
      for (const [index, { kind }] of SERVERS.entries()) {
        const via = viaPost && kind === 'holdfast' ? 'post' : 'frame';
        await publishBy(contenders[index] as Contender, { kind, port: peers[index]?.port ?? 0, via, batch });
      }
      const isSlow = (_: unknown, index: number) => SERVERS[index]?.isSlow === true;
      const isFast = (_: unknown, index: number) => !isSlow(_, index);
      await saturated(contenders.filter(isFast), subscribers, batch);
      const seldom = { rounds: SLOW_ROUNDS, busyBeforeMs: SLOW_BUSY_BEFORE_MS };
      await saturated(contenders.filter(isSlow), subscribers, batch, seldom);
      for (const [index, { rounds }] of contenders.entries()) measured[way]?.[index]?.rounds.push(...rounds);
    }
  } finally {
    await Promise.all(contenders.map(({ audience }) => audience.stop()));
    await Promise.all(peers.map((it) => it.stop()));
  }
}

function report(measured: readonly Measured[], title: string): void {
  const [, limit, ours, , io] = measured as [Measured, Measured, Measured, Measured, Measured];
  const inMedian = (one: Measured, other: Measured) => medianEfficiency(one) / medianEfficiency(other);
  table(
    `${title}: deliveries per CPU second of the server, medians of ${ours.rounds.length} rounds in turn`,
    ['server', 'thousands', 'against batched ws'],
    measured.map((it) => [it.name, Math.round(medianEfficiency(it) / 1000), ratio(inMedian(it, limit))]),
  );
  console.log(`  holdfast against batched ws, round by round: ${ratio(against(ours, limit), { atLeast: 0.8 })}`);
  console.log(`  holdfast against Socket.IO:  ${ratio(inMedian(ours, io), { atLeast: 8 })}`);
}

export async function fanout(): Promise<void> {
  console.log(`  Messages carry ${DATA.length} bytes. The relays' have the length of holdfast's frames.`);
  for (const subscribers of SUBSCRIBERS) {
    const measured = WAYS.map(() => SERVERS.map(({ name }): Measured => ({ name, rounds: [] })));
    for (let set = 1; set <= SETS; set++) {
      console.log(`  ${subscribers} subscribers: processes ${set} of ${SETS}`);
      await measureSet(subscribers, measured);
    }
    for (const [way, { title }] of WAYS.entries()) {
      report(measured[way] ?? [], `${subscribers} subscribers, published ${title}`);
    }
  }
}
