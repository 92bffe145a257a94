/** Many sessions with one subscriber and one message a second each. */
import { startPrivateRedis } from '../test/support/redis.js';
import { against, type Contender, contender, peer, takeTurns } from './contender.js';
import { startMemoryGateway, startRedisGateway, UNLIMITED } from './gateway.js';
import { cpuSeconds, type Peer } from './process.js';
import { DATA, type Kind } from './publishers.js';
import { callsOf } from './redis-stats.js';
import { median, ratio, table } from './report.js';

const SESSIONS = 10_000;
const BATCH = 500;
const SECONDS = 5;
const TURNS = { warmUp: 1, rounds: 5 };
const GRACE_MS = 60_000;
/** Of holdfast's frame in such a session. */
const FRAME_BYTES = 282;

export async function manySessions(): Promise<void> {
  const redis = await startPrivateRedis();
  const raw = await peer('many-raw', `${FRAME_BYTES}`);
  const memory = await startMemoryGateway(UNLIMITED);
  const node = await startRedisGateway('n1', redis.url, GRACE_MS, UNLIMITED);
  const contenders: { it: Contender; path: string; port: number }[] = [];
  const redisCpu: number[] = [];
  try {
    const compete = async (name: string, kind: Kind, path: string, { pid, port }: Pick<Peer, 'pid' | 'port'>) => {
      const it = await contender(name, [pid], { kind, ports: [port], count: SESSIONS, apart: true });
      contenders.push({ it, path, port });
      return it;
    };
    const limit = await compete('bare sockets', 'relay', '/', raw);
    const embedded = await compete('holdfast, in memory', 'holdfast', '/v1/messages', memory);
    const ours = await compete('holdfast, Redis', 'holdfast', '/v1/messages', node);
    const before = await callsOf(redis, 'subscribe');
    const all = contenders.map(({ it }) => it);
    await takeTurns(all, TURNS, async (it) => {
      const { path, port } = contenders[all.indexOf(it)] ?? { path: '', port: 0 };
      const cpuBefore = cpuSeconds(redis.pid);
      const counted = await it.audience.call('trickle', path, port, DATA, BATCH, SECONDS);
      if (it === ours) redisCpu.push(cpuSeconds(redis.pid) - cpuBefore);
      return counted;
    });
    const after = await callsOf(redis, 'subscribe');
    table(
      `${SESSIONS} sessions, a message a second in each, published ${BATCH} in a POST: CPU of the server over ${SECONDS} s, medians of ${TURNS.rounds} rounds in turn`,
      ['server', 'CPU s', 'against bare sockets', 'seconds it took'],
      all.map((it) => [
        it.name,
        median(it.rounds.map(({ cpu }) => cpu[0] ?? Number.NaN)).toFixed(2),
        ratio(1 / against(it, limit)),
        median(it.rounds.map(({ seconds }) => seconds)).toFixed(2),
      ]),
    );
    console.log(`  what Redis adds to the node's CPU: ${ratio(1 / against(ours, embedded))}`);
    console.log(`  Redis itself: ${median(redisCpu).toFixed(2)} CPU s a round`);
    console.log(`  SUBSCRIBE before and after the messages: ${before} and ${after}`);
  } finally {
    await Promise.all(contenders.map(({ it }) => it.audience.stop()));
    await Promise.all([raw.stop(), memory.stop(), node.kill()]);
    await redis.stop();
  }
}
