/** One session, many subscribers: what a delivery costs the server. */
import { against, type Contender, contender, medianEfficiency, peer, publishBy, takeTurns } from './contender.js';
import { startMemoryGateway, UNLIMITED } from './gateway.js';
import type { Peer } from './process.js';
import { DATA, type Kind } from './publishers.js';
import { ratio, table } from './report.js';

const SUBSCRIBERS = [100, 1_000, 5_000];
const ROUND_MS = 500;
export const FAN_OUT_ROUNDS = 15;
const TURNS = { warmUp: 5, rounds: FAN_OUT_ROUNDS };
/** Messages on their way to each subscriber: enough to saturate, and few enough that the slowest ends a round soon. */
const WINDOW = 200;
const MAX_WINDOW_DELIVERIES = 100_000;
const BATCH = 100;

interface Server extends Peer {
  name: string;
  kind: Kind;
}

const FRAMES = { title: 'a frame each', batch: 1, viaPost: false };
const BATCHES = { title: `${BATCH} in one frame, to holdfast in one POST`, batch: BATCH, viaPost: true };

/** A round of deliveries at saturation, for all of them in turns. */
export function saturated(contenders: readonly Contender[], subscribers: number, batch: number): Promise<void> {
  const window = Math.max(batch, Math.min(WINDOW, Math.floor(MAX_WINDOW_DELIVERIES / subscribers)));
  return takeTurns(contenders, TURNS, ({ audience }) => audience.call('saturate', ROUND_MS, window));
}

async function compare(servers: readonly Server[], subscribers: number): Promise<void> {
  const contenders: Contender[] = [];
  try {
    for (const { name, kind, pid, port } of servers) {
      contenders.push(await contender(name, [pid], { kind, ports: [port], count: subscribers }));
    }
    for (const { title, batch, viaPost } of [FRAMES, BATCHES]) {
      for (const [index, { kind, port }] of servers.entries()) {
        const via = viaPost && kind === 'holdfast' ? 'post' : 'frame';
        await publishBy(contenders[index] as Contender, { kind, port, via, batch });
      }
      await saturated(contenders, subscribers, batch);
      report(contenders, `${subscribers} subscribers, published ${title}`);
    }
  } finally {
    await Promise.all(contenders.map(({ audience }) => audience.stop()));
  }
}

function report(contenders: readonly Contender[], title: string): void {
  const [, limit, ours, , io] = contenders as [Contender, Contender, Contender, Contender, Contender];
  table(
    `${title}: deliveries per CPU second of the server, medians of ${FAN_OUT_ROUNDS} rounds in turn`,
    ['server', 'thousands', 'against batched ws'],
    contenders.map((it) => [it.name, Math.round(medianEfficiency(it) / 1000), ratio(against(it, limit))]),
  );
  console.log(`  holdfast against batched ws: ${ratio(against(ours, limit), { atLeast: 0.8 })}`);
  console.log(`  holdfast against Socket.IO:  ${ratio(against(ours, io), { atLeast: 8 })}`);
}

export async function fanout(): Promise<void> {
  console.log(`  Messages carry ${DATA.length} bytes. The relays' have the length of holdfast's frames.`);
  const servers: Server[] = [];
  const add = async (name: string, kind: Kind, start: Promise<Peer>) => servers.push({ ...(await start), name, kind });
  try {
    await add('batched bare sockets', 'relay', peer('batched-raw'));
    await add('batched ws', 'relay', peer('batched-ws'));
    await add('holdfast', 'holdfast', startMemoryGateway(UNLIMITED));
    await add('ws, send to each', 'relay', peer('naive-ws'));
    await add('Socket.IO', 'socket.io', peer('socket-io-room'));
    for (const subscribers of SUBSCRIBERS) await compare(servers, subscribers);
  } finally {
    await Promise.all(servers.map((it) => it.stop()));
  }
}
