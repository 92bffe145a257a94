import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { messageItem } from '../support/message-item.js';
import { LONG_MS } from './harness.js';
import {
  filler,
  item,
  type MakeMessageHarness,
  MessageBench,
  type MessageHarness,
  resultsOf,
  type TestStream,
  textsOf,
} from './message-harness.js';

const offsetsOf = (messages: readonly { offset: number }[]): number[] => messages.map(({ offset }) => offset);

export function retentionContract(make: MakeMessageHarness): void {
  describe('retention', () => {
    let harness: MessageHarness;
    let bench: MessageBench;

    beforeAll(async () => {
      harness = await make();
      bench = new MessageBench(harness);
    });

    afterAll(() => harness.close());

    const range = async (stream: TestStream): Promise<[number, number]> => {
      const { state, entries } = await harness.store.read(stream.id, { after: 0 }, 1_000);
      const length = state.top - state.first + 1;
      expect(offsetsOf(entries)).toEqual(Array.from({ length }, (_, i) => state.first + i));
      return [state.first, state.top];
    };

    test('keeps as many messages as said, and drops a sixteenth more when there is one too many', async () => {
      const stream = await bench.stream();
      const retention = { maxCount: 32 };
      await stream.write(Array(32).fill('x'), retention);
      expect(await range(stream)).toEqual([1, 32]);
      await stream.write(['y'], retention);
      expect(await range(stream)).toEqual([4, 33]);
      await stream.write(Array(100).fill('z'), retention);
      expect(await range(stream)).toEqual([104, 133]);
    });

    test('keeps as many bytes as said, and drops a sixteenth more when there is one too many', async () => {
      const stream = await bench.stream();
      const retention = { maxBytes: 1_600 };
      await stream.append(
        Array.from({ length: 16 }, () => filler(100)),
        retention,
      );
      expect(await range(stream)).toEqual([1, 16]);
      await stream.append([filler(1)], retention);
      expect(await range(stream)).toEqual([3, 17]);
      await stream.append([filler(99)], retention);
      expect(await range(stream)).toEqual([3, 18]);
      await stream.append([filler(101)], retention);
      expect(await range(stream)).toEqual([5, 19]);
    });

    test('counts bytes of UTF-8', async () => {
      const stream = await bench.stream();
      const euro = messageItem('€');
      await stream.append(
        Array.from({ length: 5 }, () => euro),
        { maxBytes: 15 },
      );
      expect(await range(stream)).toEqual([1, 5]);
      await stream.append([euro], { maxBytes: 15 });
      expect(await range(stream)).toEqual([2, 6]);
    });

    test('a message that alone is too large leaves nothing, and was published', async () => {
      const stream = await bench.stream();
      await stream.write(['a', 'b'], { maxBytes: 100 });
      expect(resultsOf(await stream.append([filler(101)], { maxBytes: 100 }))).toEqual(['accepted 3']);
      expect(await range(stream)).toEqual([4, 3]);
      expect((await stream.batches()).flatMap(({ messages }) => offsetsOf(messages))).toEqual([1, 2, 3]);
      await stream.write(['c'], { maxBytes: 100 });
      expect(await range(stream)).toEqual([4, 4]);
    });

    test('narrower bounds count from the next message on, ephemeral ones too', async () => {
      const stream = await bench.stream();
      await stream.write(['a', 'b', 'c', 'd', 'e']);
      await stream.append([item('p', { ephemeral: true })], { maxCount: 2 });
      expect(await range(stream)).toEqual([4, 5]);
    });

    test('of no messages gives offsets and publishes', async () => {
      const stream = await bench.stream();
      await stream.write(['a', 'b']);
      expect(resultsOf(await stream.write(['c', 'd'], { maxCount: 0 }))).toEqual(['accepted 3', 'accepted 4']);
      expect(await range(stream)).toEqual([5, 4]);
      expect((await stream.batches()).flatMap(({ messages }) => offsetsOf(messages))).toEqual([1, 2, 3, 4]);
      await stream.write(['e']);
      expect(await range(stream)).toEqual([5, 5]);
    });

    test('that refuses keeps what is there, and lets what fits and what is ephemeral through', async () => {
      const stream = await bench.stream();
      const byCount = { maxCount: 2, whenFull: 'refuse' } as const;
      const outcome = await stream.append([item('a'), item('b'), item('c'), item('p', { ephemeral: true })], byCount);
      expect(resultsOf(outcome)).toEqual(['accepted 1', 'accepted 2', 'history_full', 'accepted 2']);
      expect(textsOf(await stream.entries())).toEqual(['1 a', '2 b']);
      await harness.store.truncate(stream.id, 1);
      expect(resultsOf(await stream.write(['c'], byCount))).toEqual(['accepted 3']);
      const other = await bench.stream();
      const byBytes = { maxBytes: 10, whenFull: 'refuse' } as const;
      const sizes = await other.append([filler(6), filler(5), filler(4), filler(1)], byBytes);
      expect(resultsOf(sizes)).toEqual(['accepted 1', 'history_full', 'accepted 2', 'history_full']);
    });

    describe('in time', () => {
      const AGE_MS = 800;
      const aging = { maxAgeMs: AGE_MS };

      test('a history in which nothing happened for its age is gone; the position is not', async () => {
        const stream = await bench.stream();
        const { epoch } = await stream.write(['a', 'b'], aging);
        await harness.wait(AGE_MS + 20);
        const state = { epoch, top: 2, first: 3, forks: [] };
        expect(await harness.store.states([stream.id])).toEqual([state]);
        expect(await harness.other.read(stream.id, { after: 0 }, 10)).toEqual({ state, entries: [] });
        expect(await harness.store.read(stream.id, { before: 3 }, 10)).toEqual({ state, entries: [] });
        const outcome = await stream.write(['c'], { maxCount: 1, whenFull: 'refuse' });
        expect(outcome).toEqual({ epoch, top: 3, results: [{ result: 'accepted', offset: 3 }] });
        expect(textsOf(await stream.entries())).toEqual(['3 c']);
      });

      test('messages that are too old go while others come', async () => {
        const stream = await bench.stream();
        await stream.write(['a'], aging);
        await harness.wait(AGE_MS * 0.6);
        await stream.write(['b'], aging);
        expect(await range(stream)).toEqual([1, 2]);
        await harness.wait(AGE_MS * 0.6);
        await stream.write(['c'], aging);
        expect(await range(stream)).toEqual([2, 3]);
      });

      test('a request of which nothing is accepted lengthens nothing', async () => {
        const stream = await bench.stream();
        await stream.write(['a'], aging);
        await harness.wait(AGE_MS * 0.6);
        await stream.append([item('no', { expectedOffset: 9 })], aging);
        await harness.wait(AGE_MS * 0.6);
        expect(await range(stream)).toEqual([2, 1]);
      });

      test('the last message says how long', async () => {
        const [longer, shorter] = [await bench.stream(), await bench.stream()];
        await longer.write(['a'], aging);
        await longer.write(['b'], { maxAgeMs: LONG_MS });
        await shorter.write(['a'], { maxAgeMs: LONG_MS });
        await shorter.write(['b'], aging);
        await harness.wait(AGE_MS + 20);
        expect(await range(longer)).toEqual([1, 2]);
        expect(await range(shorter)).toEqual([3, 2]);
      });

      test('a history that is over takes no room', async () => {
        const stream = await bench.stream();
        const full = { ...aging, maxCount: 1, maxBytes: 20, whenFull: 'refuse' } as const;
        await stream.append([filler(20)], full);
        await harness.wait(AGE_MS + 20);
        expect(resultsOf(await stream.append([filler(20)], full))).toEqual(['accepted 2']);
        expect(await range(stream)).toEqual([2, 2]);
      });
    });
  });
}
