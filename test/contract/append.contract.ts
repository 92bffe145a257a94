import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { messageItem } from '../support/message-item.js';
import {
  item,
  type MakeMessageHarness,
  MessageBench,
  type MessageHarness,
  resultsOf,
  textsOf,
} from './message-harness.js';

export function appendContract(make: MakeMessageHarness): void {
  describe('append', () => {
    let harness: MessageHarness;
    let bench: MessageBench;

    beforeAll(async () => {
      harness = await make();
      bench = new MessageBench(harness);
    });

    afterAll(() => harness.close());

    test('gives offsets from 1 on, keeps the messages, and publishes each request as one batch', async () => {
      const stream = await bench.stream();
      const first = await stream.write(['a']);
      const second = await stream.write(['b', 'c']);
      expect(first).toEqual({ epoch: first.epoch, top: 1, results: [{ result: 'accepted', offset: 1 }] });
      expect(first.epoch).toMatch(/^\d{1,16}$/);
      expect(second).toMatchObject({ epoch: first.epoch, top: 3 });
      expect(resultsOf(second)).toEqual(['accepted 2', 'accepted 3']);
      const { state, entries } = await harness.other.read(stream.id, { after: 0 }, 10);
      expect(state).toEqual({ epoch: first.epoch, top: 3, first: 1, forks: [] });
      expect(textsOf(entries)).toEqual(['1 a', '2 b', '3 c']);
      const batches = await stream.batches();
      expect(batches).toMatchObject([
        { kind: 'messages', sessionId: stream.id, epoch: first.epoch, atMs: entries[0]?.atMs },
        { kind: 'messages', sessionId: stream.id, epoch: first.epoch, atMs: entries[1]?.atMs },
      ]);
      expect(batches.map(({ messages }) => textsOf(messages))).toEqual([['1 a'], ['2 b', '3 c']]);
      expect(batches.flatMap(({ messages }) => messages).map(({ ephemeral }) => ephemeral)).toEqual([
        false,
        false,
        false,
      ]);
    });

    test('takes 128 items', async () => {
      const stream = await bench.stream();
      const { top } = await stream.write(Array.from({ length: 128 }, (_, i) => `m${i}`));
      expect(top).toBe(128);
      expect((await stream.entries()).at(-1)?.offset).toBe(128);
      expect(await stream.batches()).toHaveLength(1);
    });

    test('of 100 concurrent requests of many writers each gets offsets of its own, published in their order', async () => {
      const stream = await bench.stream();
      const storeOf = (i: number) => (i % 2 === 0 ? harness.store : harness.other);
      const outcomes = await Promise.all(
        Array.from({ length: 100 }, (_, i) =>
          storeOf(i).append(stream.request([item(`${i}`), item(`${i}`)], { writerId: `w${i % 5}-${stream.id}-${i}` })),
        ),
      );
      const offsets = outcomes.flatMap(resultsOf);
      expect(new Set(offsets).size).toBe(200);
      const messages = (await stream.batches()).flatMap((batch) => batch.messages);
      expect(messages.map(({ offset }) => offset)).toEqual(Array.from({ length: 200 }, (_, i) => i + 1));
      expect(textsOf(await stream.entries())).toEqual(textsOf(messages));
    });

    test.each([
      ['what separates fields', 'm\t1\t2\n\r\0 e3\tx'],
      ['text of more than one byte a character', 'é€😀'.repeat(50)],
      ['64 KiB', 'x'.repeat(65_536)],
      ['nothing', ''],
    ])('hands %s on byte for byte', async (_, tail) => {
      const stream = await bench.stream();
      const after = item('after');
      await stream.append([messageItem(tail), messageItem(tail, { ephemeral: true }), after]);
      const expected = Buffer.from(tail);
      const [batch] = await stream.batches();
      const entries = await stream.entries();
      expect(batch?.messages.map((message) => message.tail.toString())).toEqual([tail, tail, after.tail]);
      expect(entries.map((entry) => entry.tail.toString())).toEqual([tail, after.tail]);
      expect(entries[0]?.tail.equals(expected)).toBe(true);
    });

    test('an ephemeral message is published at the last offset and not kept', async () => {
      const stream = await bench.stream();
      const outcome = await stream.append([
        item('before', { ephemeral: true }),
        item('kept'),
        item('after', { ephemeral: true }),
      ]);
      expect(resultsOf(outcome)).toEqual(['accepted 0', 'accepted 1', 'accepted 1']);
      expect(outcome.top).toBe(1);
      expect(textsOf(await stream.entries())).toEqual(['1 kept']);
      const [batch] = await stream.batches();
      expect(batch?.messages.map(({ offset, ephemeral }) => [offset, ephemeral])).toEqual([
        [0, true],
        [1, false],
        [1, true],
      ]);
    });

    describe('the same request again', () => {
      test('is answered as before and changes nothing, whatever came in between', async () => {
        const stream = await bench.stream();
        const request = stream.request([item('a'), item('no', { expectedOffset: 7 })]);
        const first = await harness.store.append(request);
        expect(resultsOf(first)).toEqual(['accepted 1', 'offset_conflict']);
        await harness.other.append(stream.request([item('b')], { writerId: randomUUID() }));
        expect(await harness.other.append(request)).toEqual(first);
        expect(textsOf(await stream.entries())).toEqual(['1 a', '2 b']);
        expect(await stream.batches()).toHaveLength(2);
      });

      test('is answered as before when nothing of it was accepted', async () => {
        const stream = await bench.stream();
        const request = stream.request([item('a', { expectedOffset: 1 })]);
        const first = await harness.store.append(request);
        await harness.store.append(stream.request([item('b')], { writerId: randomUUID() }));
        expect(await harness.store.append(request)).toEqual(first);
        expect(resultsOf(first)).toEqual(['offset_conflict']);
      });

      test('that comes after the writer’s next one does nothing', async () => {
        const stream = await bench.stream();
        const late = stream.request([item('late')]);
        const { epoch } = await stream.write(['a']);
        expect(await harness.other.append(late)).toEqual({ epoch, top: 1, results: [] });
        expect(textsOf(await stream.entries())).toEqual(['1 a']);
        expect(await stream.batches()).toHaveLength(1);
      });

      test('is known however many others write', async () => {
        const stream = await bench.stream();
        const request = stream.request([item('a')]);
        const first = await harness.store.append(request);
        for (let i = 0; i < 40; i += 1) {
          await harness.store.append(stream.request([item('b')], { writerId: `w${i}` }));
        }
        expect(await harness.store.append(request)).toEqual(first);
      });
    });

    test('after another start of the store goes on with the offsets in another epoch', async (context) => {
      const { restart } = harness;
      if (restart === undefined) return context.skip('takes a real restart');
      const [stream, untouched] = [await bench.stream(), await bench.stream()];
      const before = await stream.write(['a', 'b']);
      const [given] = await harness.store.states([untouched.id]);
      restart();
      const refused = await stream.append([item('no', { expectedOffset: 7 })]);
      expect(refused).toMatchObject({ epoch: before.epoch, top: 2 });
      const after = await stream.write(['c']);
      expect(Number(after.epoch)).toBeGreaterThan(Number(before.epoch));
      expect(resultsOf(after)).toEqual(['accepted 3']);
      expect(await harness.store.states([stream.id])).toEqual([
        { epoch: after.epoch, top: 3, first: 1, forks: [{ epoch: before.epoch, offset: 2 }] },
      ]);
      expect((await stream.write(['d'])).epoch).toBe(after.epoch);
      expect((await stream.batches()).map(({ epoch }) => epoch)).toEqual([before.epoch, after.epoch, after.epoch]);
      // The store cannot know that no offset was given in its epoch: it may have lost that.
      const { epoch } = await untouched.write(['a']);
      expect(await harness.store.states([untouched.id])).toEqual([
        { epoch, top: 1, first: 1, forks: [{ epoch: given?.epoch, offset: 0 }] },
      ]);
    });

    test('after many starts of the store knows the last 8 epochs', async (context) => {
      const { restart } = harness;
      if (restart === undefined) return context.skip('takes a real restart');
      const stream = await bench.stream();
      const epochs: string[] = [];
      for (let i = 0; i < 10; i += 1) {
        epochs.unshift((await stream.write([`${i}`])).epoch);
        restart();
      }
      const [state] = await harness.store.states([stream.id]);
      expect(state?.forks).toEqual(epochs.slice(1, 9).map((epoch, i) => ({ epoch, offset: 9 - i })));
    });
  });
}
