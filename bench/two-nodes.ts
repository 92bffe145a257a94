/** Published on one node and delivered by another, through Redis. */
import { setTimeout as sleep } from 'node:timers/promises';
import { startPrivateRedis } from '../test/support/redis.js';
import { against, type Contender, contender, medianEfficiency, peer, publishBy } from './contender.js';
import { FAN_OUT_ROUNDS, saturated } from './fanout.js';
import { startMemoryGateway, startRedisGateway, UNLIMITED } from './gateway.js';
import type { Kind } from './publishers.js';
import { ratio, table } from './report.js';

const SUBSCRIBERS = 1_000;
const GRACE_MS = 60_000;
/** Until Socket.IO's servers have heard of each other. */
const SETTLE_MS = 500;

export async function twoNodes(): Promise<void> {
  const redis = await startPrivateRedis();
  const single = await startMemoryGateway(UNLIMITED);
  const nodes = await Promise.all(['n1', 'n2'].map((id) => startRedisGateway(id, redis.url, GRACE_MS, UNLIMITED)));
  const peers = await Promise.all([1, 2].map(() => peer('socket-io-room', redis.url)));
  await sleep(SETTLE_MS);
  const contenders: Contender[] = [];
  try {
    const compete = async (name: string, kind: Kind, servers: readonly { pid: number; port: number }[]) => {
      const [from, to] = [servers[0], servers.at(-1)];
      if (from === undefined || to === undefined) throw new Error('a contender without servers');
      const pids = servers.length === 1 ? [to.pid] : [to.pid, from.pid];
      const it = await contender(name, pids, { kind, ports: [to.port], count: SUBSCRIBERS });
      contenders.push(it);
      await publishBy(it, { kind, port: from.port, via: 'frame', batch: 1 });
      return it;
    };
    const alone = await compete('holdfast, one node, in memory', 'holdfast', [single]);
    const ours = await compete('holdfast, two nodes', 'holdfast', nodes);
    const io = await compete('Socket.IO, two processes, Redis adapter', 'socket.io', peers);
    await saturated(contenders, SUBSCRIBERS, 1);
    table(
      `${SUBSCRIBERS} subscribers of one node, the publisher at the other: thousands of deliveries per CPU second, medians of ${FAN_OUT_ROUNDS} rounds in turn`,
      ['servers', 'of the delivering one', 'of both', 'messages/s'],
      contenders.map((it) => [
        it.name,
        Math.round(medianEfficiency(it) / 1000),
        Math.round(medianEfficiency(it, true) / 1000),
        Math.round(it.rounds.reduce((sum, { sent, seconds }) => sum + sent / seconds, 0) / it.rounds.length),
      ]),
    );
    const both = (one: Contender, other: Contender) => `of both ${ratio(against(one, other, true))}`;
    console.log(`  against one node:  ${ratio(against(ours, alone), { atLeast: 0.7 })}, ${both(ours, alone)}`);
    console.log(`  against Socket.IO: ${ratio(against(ours, io), { atLeast: 5 })}, ${both(ours, io)}`);
  } finally {
    await Promise.all(contenders.map(({ audience }) => audience.stop()));
    await Promise.all([single.stop(), ...nodes.map((node) => node.kill()), ...peers.map((it) => it.stop())]);
    await redis.stop();
  }
}
