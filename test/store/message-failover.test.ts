import { afterAll, beforeAll, expect, test } from 'vitest';
import type { AppendRequest } from '../../src/session/message-ports.js';
import { standing } from '../../src/session/position.js';
import { RedisMessageStore } from '../../src/store/redis/message-store.js';
import { AMPLE, item, resultsOf, textsOf } from '../contract/message-harness.js';
import { eventually, redisCall } from '../support/redis-process.js';
import { type SentinelRedis, startSentinel } from '../support/redis-sentinel.js';
import { type OpenStore, openStore } from './redis-store.js';

let sentinel: SentinelRedis;
let open: OpenStore;
let store: RedisMessageStore;

beforeAll(async () => {
  sentinel = await startSentinel();
  open = await openStore(sentinel.url);
  store = new RedisMessageStore(open.connection, open.connection.telemetry);
});
afterAll(async () => {
  await open?.connection.close();
  await sentinel?.stop();
});

/** The replica gets nothing from here on; for the Sentinels it is as good as before. */
async function cutReplicaOff(): Promise<void> {
  const { master, replica } = sentinel;
  await redisCall(replica.port, 'CONFIG', 'SET', 'masteruser', 'nobody', 'masterauth', 'nothing');
  await redisCall(master.port, 'CLIENT', 'KILL', 'TYPE', 'replica');
  await eventually('the replica alone', async () =>
    String(await redisCall(master.port, 'INFO', 'replication')).includes('connected_slaves:0'),
  );
}

test('a failover that loses the last messages gives no offset twice, and says which positions stand', async () => {
  /** Every offset that was given, by epoch, with its text. */
  const given: [position: string, text: string][] = [];
  let sequence = 0;
  const requestOf = (texts: string[]): AppendRequest => {
    sequence += 1;
    const items = texts.map((text) => item(text));
    return { sessionId: 'chat:1', writerId: 'writer-1', sequence, retention: AMPLE, items };
  };
  const append = async (request: AppendRequest) => {
    const outcome = await store.append(request);
    for (const [i, result] of outcome.results.entries()) {
      const text = textsOf([{ offset: 0, tail: Buffer.from(request.items[i]?.tail ?? '') }])[0] ?? '';
      if ('offset' in result) given.push([`${outcome.epoch} ${result.offset}`, text]);
    }
    return outcome;
  };

  const { epoch } = await append(requestOf(['a', 'b', 'c']));
  expect(await open.connection.masters()[0]?.wait(1, 5_000)).toBe(1);
  await cutReplicaOff();
  await append(requestOf(['lost 1']));
  const last = requestOf(['lost 2', 'lost 3']);
  expect(await append(last)).toMatchObject({ epoch, top: 6 });
  await sentinel.master.kill();

  const top = () => store.read('chat:1', { after: 0 }, 1).then(({ state }) => state.top, String);
  await expect.poll(top, { timeout: 20_000, interval: 100 }).toBe(3);
  // Its sender does not know whether it was made, and asks again: it was lost with all that came with it.
  const again = await append(last);
  expect(resultsOf(again)).toEqual(['accepted 4', 'accepted 5']);
  expect(await append(last)).toEqual(again);
  await append(requestOf(['d']));

  const { state, entries } = await store.read('chat:1', { after: 0 }, 100);
  expect(textsOf(entries)).toEqual(['1 a', '2 b', '3 c', '4 lost 2', '5 lost 3', '6 d']);
  expect(state).toEqual({ epoch: again.epoch, top: 6, first: 1, forks: [{ epoch, offset: 3 }] });
  expect(Number(again.epoch)).toBeGreaterThan(Number(epoch));
  expect([0, 3, 4, 6].map((offset) => standing(state, { epoch, offset }))).toEqual([
    'recoverable',
    'recoverable',
    'lost',
    'lost',
  ]);
  const texts = new Map<string, Set<string>>();
  for (const [position, text] of given) texts.set(position, (texts.get(position) ?? new Set()).add(text));
  expect([...texts.values()].filter((different) => different.size > 1)).toEqual([]);
}, 40_000);
