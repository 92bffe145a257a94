import { expect, test } from 'vitest';
import { freshHash } from './harness.js';
import { item, MessageBench, resultsOf, textsOf } from './message-harness.js';
import { memoryMessageHarness } from './message-memory-harness.js';
import { messageStoreContract } from './messages.contract.js';

messageStoreContract('memory', memoryMessageHarness);

const HOUR_MS = 3_600_000;

test('a message is known by its idempotency hash for 5 minutes', async () => {
  const harness = await memoryMessageHarness();
  const stream = await new MessageBench(harness).stream();
  const fresh = () => item('a', { idempotency: { hash: freshHash(), fingerprint: 'f1' } });
  const same = fresh();
  // So many that this one is not swept before it is asked for.
  await stream.append([...Array.from({ length: 20 }, fresh), same, ...Array.from({ length: 20 }, fresh)], {
    maxAgeMs: HOUR_MS,
  });
  await harness.wait(299_999);
  expect(resultsOf(await stream.append([same]))).toEqual(['duplicate 21']);
  await harness.wait(1);
  expect(resultsOf(await stream.append([same]))).toEqual(['accepted 42']);
});

test('a position outlives its last message by the messages’ age and a day, or its last watcher', async () => {
  const harness = await memoryMessageHarness();
  const bench = new MessageBench(harness);
  const [stream, watched] = [await bench.stream(), await bench.stream()];
  await stream.write(['a'], { maxAgeMs: 10 * HOUR_MS });
  await harness.wait(20 * HOUR_MS);
  const { epoch } = await stream.write(['b'], { maxAgeMs: HOUR_MS });
  const other = await watched.write(['a'], { maxAgeMs: HOUR_MS });
  await harness.wait(25 * HOUR_MS - 1);
  expect((await harness.store.read(stream.id, { after: 0 }, 1)).state).toMatchObject({ epoch, top: 2 });
  await harness.store.states([watched.id]);
  await harness.wait(1);
  expect((await harness.store.read(stream.id, { after: 0 }, 1)).state.epoch).toBe('');
  expect((await stream.write(['b'])).top).toBe(1);
  await harness.wait(24 * HOUR_MS);
  expect(await watched.write(['b'])).toMatchObject({ epoch: other.epoch, top: 2 });
});

test('a session that nobody writes to is forgotten after a day', async () => {
  const harness = await memoryMessageHarness();
  const { epoch } = (await harness.ownership.read('idle')).stream;
  await harness.wait(24 * HOUR_MS - 1);
  expect((await harness.ownership.read('idle')).stream.epoch).toBe(epoch);
  await harness.wait(1);
  expect((await harness.ownership.read('idle')).stream.epoch).not.toBe(epoch);
});

test('what was read does not change with what is written later', async () => {
  const harness = await memoryMessageHarness();
  const stream = await new MessageBench(harness).stream();
  await stream.write(['a']);
  const { state, entries } = await harness.store.read(stream.id, { after: 0 }, 10);
  const before = structuredClone(state);
  await stream.write(['b', 'c'], { maxCount: 1 });
  expect(state).toEqual(before);
  expect(textsOf(entries)).toEqual(['1 a']);
});
