import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { HistoryRange } from '../../src/session/message-ports.js';
import { freshHash, LONG_MS } from './harness.js';
import { filler, type MakeMessageHarness, MessageBench, type MessageHarness, textsOf } from './message-harness.js';

const NONE = { epoch: '', top: 0, first: 1, forks: [] };

export function historyContract(make: MakeMessageHarness): void {
  let harness: MessageHarness;
  let bench: MessageBench;

  beforeAll(async () => {
    harness = await make();
    bench = new MessageBench(harness);
  });

  afterAll(() => harness.close());

  describe('read', () => {
    const rows: [string, HistoryRange, number, string[]][] = [
      ['everything', { after: 0 }, 10, ['3 c', '4 d', '5 e', '6 f']],
      ['what follows', { after: 4 }, 10, ['5 e', '6 f']],
      ['what follows, up to a limit', { after: 3 }, 2, ['4 d', '5 e']],
      ['from before the oldest on', { after: 1 }, 2, ['3 c', '4 d']],
      ['what follows the last', { after: 6 }, 10, []],
      ['what follows what is not given yet', { after: 99 }, 10, []],
      ['what precedes', { before: 5 }, 10, ['3 c', '4 d']],
      ['what precedes, up to a limit', { before: 7 }, 2, ['5 e', '6 f']],
      ['what precedes what is not given yet', { before: 99 }, 1, ['6 f']],
      ['what precedes the oldest', { before: 3 }, 10, []],
      ['what precedes the first', { before: 0 }, 10, []],
    ];

    test.each(rows)('%s', async (_, range, limit, expected) => {
      const stream = await bench.stream();
      const { epoch } = await stream.write(['a', 'b', 'c', 'd', 'e', 'f']);
      await harness.store.truncate(stream.id, 2);
      const { state, entries } = await harness.other.read(stream.id, range, limit);
      expect(state).toEqual({ epoch, top: 6, first: 3, forks: [] });
      expect(textsOf(entries)).toEqual(expected);
    });

    test('takes no more than about 256 KiB at once, from either end', async () => {
      const stream = await bench.stream();
      for (let i = 0; i < 10; i += 1) await stream.append([filler(50_000)]);
      const forwards = await harness.store.read(stream.id, { after: 0 }, 1_000);
      const backwards = await harness.store.read(stream.id, { before: 11 }, 1_000);
      expect(forwards.entries.map(({ offset }) => offset)).toEqual([1, 2, 3, 4, 5, 6]);
      expect(backwards.entries.map(({ offset }) => offset)).toEqual([5, 6, 7, 8, 9, 10]);
    });

    test('of a session without messages writes nothing', async () => {
      const id = `test:${randomUUID()}`;
      for (let i = 0; i < 2; i += 1) {
        expect(await harness.store.read(id, { after: 0 }, 10)).toEqual({ state: NONE, entries: [] });
      }
    });
  });

  describe('states', () => {
    test('are given in the order asked, and are those of read', async () => {
      const streams = await Promise.all(Array.from({ length: 70 }, () => bench.stream()));
      await Promise.all(streams.map((stream, i) => stream.write(Array(i % 3).fill('x'), { maxCount: 1 })));
      const ids = streams.map(({ id }) => id);
      const states = await harness.other.states(ids);
      expect(states.map((state) => state?.top)).toEqual(ids.map((_, i) => i % 3));
      for (const [i, id] of ids.entries()) {
        expect((await harness.store.read(id, { after: 0 }, 1)).state).toEqual(states[i]);
      }
      expect(await harness.store.states([])).toEqual([]);
    });

    test('begin with the first look at them, by whichever way', async () => {
      const ids = Array.from({ length: 4 }, () => `test:${randomUUID()}`);
      const [asked = '', read = '', claimed = '', reclaimed = ''] = ids;
      const request = (sessionId: string) => ({
        sessionId,
        requestId: randomUUID(),
        connectionId: 'c_1',
        nodeId: 'node-1',
        bootId: 'boot-1',
        principal: 'principal-1',
        principalRule: 'exact' as const,
        tokenHash: freshHash(),
        attemptHash: '',
        policy: 'next_subscriber' as const,
        leaseMs: LONG_MS,
        lockValue: '',
      });
      const { ownership, store } = harness;
      const first = [
        (await store.states([asked]))[0],
        (await ownership.read(read)).stream,
        (await ownership.claim({ ...request(claimed), mode: 'subscribe' })).stream,
        (await ownership.reclaim({ ...request(reclaimed), presentedTokenHash: freshHash(), claimIfExpired: true }))
          .stream,
      ];
      expect(first).toEqual(first.map((state) => ({ ...NONE, epoch: state?.epoch })));
      expect(first.every((state) => /^\d{1,16}$/.test(state?.epoch ?? ''))).toBe(true);
      await harness.wait(2);
      expect(await harness.other.states(ids)).toEqual(first);
    });

    test('come with each look at the owner', async () => {
      const stream = await bench.stream();
      const { epoch } = await stream.write(['a', 'b', 'c'], { maxCount: 2 });
      const state = { epoch, top: 3, first: 2, forks: [] };
      expect((await harness.ownership.read(stream.id)).stream).toEqual(state);
      await stream.claim('c_1');
      expect(await harness.store.states([stream.id])).toEqual([state]);
    });
  });

  describe('truncate', () => {
    test.each([
      [-1, 1],
      [0, 1],
      [2, 3],
      [4, 5],
      [99, 5],
    ])('removes the messages up to %i, so that %i is the first', async (through, first) => {
      const stream = await bench.stream();
      const { epoch } = await stream.write(['a', 'b', 'c', 'd']);
      const state = { epoch, top: 4, first, forks: [] };
      expect(await harness.store.truncate(stream.id, through)).toEqual(state);
      expect(await harness.other.truncate(stream.id, 0)).toEqual(state);
      expect((await stream.entries()).map(({ offset }) => offset)).toEqual([1, 2, 3, 4].slice(first - 1));
      await stream.write(['e']);
      expect(textsOf(await stream.entries()).at(-1)).toBe('5 e');
    });

    test('makes room', async () => {
      const stream = await bench.stream();
      const retention = { maxBytes: 100, whenFull: 'refuse' } as const;
      await stream.append([filler(60), filler(40)], retention);
      await harness.store.truncate(stream.id, 1);
      const { results } = await stream.append([filler(60), filler(1)], retention);
      expect(results).toEqual([{ result: 'accepted', offset: 3 }, { result: 'history_full' }]);
    });

    test('of a session without messages does nothing', async () => {
      expect(await harness.store.truncate(`test:${randomUUID()}`, 5)).toEqual(NONE);
    });
  });

  describe('remove', () => {
    test('leaves nothing: what comes later is of another epoch', async () => {
      const stream = await bench.stream();
      const before = await stream.write(['a', 'b']);
      await harness.store.remove(stream.id);
      expect(await harness.other.read(stream.id, { after: 0 }, 10)).toEqual({ state: NONE, entries: [] });
      const after = await stream.write(['c']);
      expect(Number(after.epoch)).toBeGreaterThan(Number(before.epoch));
      expect(after.results).toEqual([{ result: 'accepted', offset: 1 }]);
      expect(textsOf(await stream.entries())).toEqual(['1 c']);
      await harness.store.remove(stream.id);
      await harness.store.remove(stream.id);
    });
  });
}
