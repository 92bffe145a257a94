import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { HoldfastError } from '../../src/protocol/errors.js';
import type { AppendOutcome, AppendRequest } from '../../src/session/message-ports.js';
import { type Entry, MessageWriter, type Written } from '../../src/session/message-writer.js';
import { FakeClock } from '../support/fake-clock.js';
import { messageItem } from '../support/message-item.js';

const RETENTION = { maxCount: 10, maxBytes: 1_000, maxAgeMs: 1_000, whenFull: 'drop_oldest' } as const;

/** Answers when it is told to. */
class HeldStore {
  readonly requests: AppendRequest[] = [];
  readonly #held: { resolve: (outcome: AppendOutcome) => void; reject: (error: unknown) => void }[] = [];
  #top = 0;

  append(request: AppendRequest): Promise<AppendOutcome> {
    this.requests.push(request);
    return new Promise((resolve, reject) => this.#held.push({ resolve, reject }));
  }

  async accept(): Promise<void> {
    const request = this.requests[this.requests.length - this.#held.length];
    const results = request?.items.map(() => ({ result: 'accepted', offset: ++this.#top }) as const) ?? [];
    this.#held.shift()?.resolve({ epoch: 'e', top: this.#top, results });
    await turn();
  }

  async fail(error: unknown): Promise<void> {
    this.#held.shift()?.reject(error);
    await turn();
  }
}

const turn = () => new Promise((resolve) => process.nextTick(resolve)).then(() => {});
const away = () => new HoldfastError('store_unavailable', 'away');
const tailsOf = (request: AppendRequest | undefined) => request?.items.map(({ tail }) => tail);

describe('a message writer', () => {
  let store: HeldStore;
  let clock: FakeClock;
  let writer: MessageWriter;

  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    store = new HeldStore();
    clock = new FakeClock();
    writer = new MessageWriter({ messages: store, clock, writerId: 'boot', retentionOf: () => RETENTION });
  });

  afterEach(() => vi.useRealTimers());

  const write = (tail: string, sessionId = 's', bytes = tail.length): Promise<Written> =>
    writer.append(sessionId, messageItem(tail, { bytes }));
  const retry = async () => {
    clock.advance(250);
    await vi.advanceTimersByTimeAsync(250);
  };

  it('writes a lone message in the same turn', async () => {
    const written = write('a');
    await Promise.resolve();
    expect(store.requests).toMatchObject([{ sessionId: 's', writerId: 'boot', retention: RETENTION }]);
    await store.accept();
    expect(await written).toEqual({ item: { result: 'accepted', offset: 1 }, epoch: 'e' });
  });

  it('writes together what came together, and in the next request what comes while one is under way', async () => {
    const first = [write('a'), write('b')];
    await turn();
    const next = [write('c'), write('d'), write('e')];
    await turn();
    expect(store.requests.map(tailsOf)).toEqual([['a', 'b']]);
    await store.accept();
    expect(store.requests.map(tailsOf)).toEqual([
      ['a', 'b'],
      ['c', 'd', 'e'],
    ]);
    await store.accept();
    const offsets = (await Promise.all([...first, ...next])).map(({ item }) => 'offset' in item && item.offset);
    expect(offsets).toEqual([1, 2, 3, 4, 5]);
  });

  it('takes more while it tells what became of the last ones', async () => {
    const told: unknown[] = [];
    const entry = (tail: string, then: () => void): Entry => ({
      item: messageItem(tail),
      written: (result, epoch) => {
        told.push([tail, result, epoch]);
        then();
      },
      failed: (error) => {
        told.push([tail, error]);
        then();
      },
    });
    const nothing = () => {};
    const later = () => writer.add('s', entry('c', nothing));
    writer.add('s', entry('a', later));
    writer.add('s', entry('b', nothing));
    await turn();
    await store.accept();
    expect(store.requests.map(tailsOf)).toEqual([['a', 'b'], ['c']]);
    const accepted = (offset: number) => ({ result: 'accepted', offset });
    expect(told).toEqual([
      ['a', accepted(1), 'e'],
      ['b', accepted(2), 'e'],
    ]);
    const error = new Error('broken');
    writer.add('s', entry('d', later));
    await store.fail(error);
    expect(told.slice(2)).toEqual([
      ['c', error],
      ['d', error],
    ]);
    await store.accept();
    expect(told.slice(4)).toEqual([['c', accepted(3), 'e']]);
  });

  it('does not let one session wait for another', async () => {
    void write('a', 's');
    await turn();
    void write('b', 't');
    await turn();
    expect(store.requests.map(({ sessionId }) => sessionId)).toEqual(['s', 't']);
  });

  it('puts at most 128 messages and 256 KiB into a request, and a larger message alone', async () => {
    for (let index = 0; index < 130; index++) void write(`${index}`);
    await turn();
    expect(store.requests[0]?.items).toHaveLength(128);
    for (const bytes of [200 * 1024, 56 * 1024, 1, 300 * 1024, 1]) void write(`${bytes}`, 'big', bytes);
    await turn();
    expect(tailsOf(store.requests[1])).toEqual([`${200 * 1024}`, `${56 * 1024}`]);
    await store.accept();
    await store.accept();
    expect(store.requests.slice(2).map(tailsOf)).toEqual([['128', '129'], ['1']]);
    await store.accept();
    await store.accept();
    expect(tailsOf(store.requests[4])).toEqual([`${300 * 1024}`]);
  });

  it('gives each request of a session a higher sequence', async () => {
    const sequences: number[] = [];
    for (const tail of ['a', 'b', 'c']) {
      void write(tail);
      await turn();
      await store.accept();
    }
    for (const { sequence } of store.requests) sequences.push(sequence);
    expect(sequences).toEqual([...sequences].sort((a, b) => a - b));
    expect(new Set(sequences).size).toBe(3);
  });

  it('repeats a request unchanged until its outcome is known', async () => {
    const written = write('a');
    await turn();
    const meanwhile = write('b');
    await store.fail(away());
    expect(store.requests).toHaveLength(1);
    await retry();
    await store.fail(away());
    await retry();
    expect(store.requests).toHaveLength(3);
    expect(store.requests[1]).toEqual(store.requests[0]);
    expect(store.requests[2]).toEqual(store.requests[0]);
    await store.accept();
    expect((await written).item).toEqual({ result: 'accepted', offset: 1 });
    await store.accept();
    expect((await meanwhile).item).toEqual({ result: 'accepted', offset: 2 });
  });

  it('gives up after 10 s, with all that waited, and goes on with the next sequence', async () => {
    const lost = [write('a')];
    await turn();
    lost.push(write('b'));
    const settled = Promise.allSettled(lost);
    for (let elapsedMs = 0; elapsedMs < 10_000; elapsedMs += 250) {
      await store.fail(away());
      await retry();
    }
    await store.fail(away());
    for (const result of await settled) {
      expect(result).toMatchObject({ status: 'rejected', reason: { code: 'store_unavailable' } });
    }
    expect(store.requests).toHaveLength(41);
    const later = write('c');
    await turn();
    expect(tailsOf(store.requests[41])).toEqual(['c']);
    expect(store.requests[41]?.sequence).toBeGreaterThan(store.requests[40]?.sequence ?? Infinity);
    await store.accept();
    expect((await later).item.result).toBe('accepted');
  });

  it('fails at once when the store refuses the request itself', async () => {
    const written = write('a');
    await turn();
    const settled = Promise.allSettled([written]);
    await store.fail(new Error('a fault'));
    expect(await settled).toMatchObject([{ status: 'rejected', reason: { message: 'a fault' } }]);
    expect(store.requests).toHaveLength(1);
  });

  it('takes at most 1,000 messages of a session at once', async () => {
    const written = Array.from({ length: 1_000 }, (_, index) => write(`${index}`));
    await expect(write('one more')).rejects.toMatchObject({ code: 'rate_limited', retryAfterMs: 100 });
    const other = write('x', 'other');
    await turn();
    for (let requests = 0; requests < 9; requests++) await store.accept();
    await Promise.all([...written, other]);
    const later = write('later');
    await turn();
    await store.accept();
    expect((await later).item.result).toBe('accepted');
  });

  it('takes at most 4 MiB of a session and 64 MiB in all', async () => {
    const mib = 1024 * 1024;
    for (let index = 0; index < 16; index++) void write('x', `s${index}`, 4 * mib);
    await expect(write('x', 's0', 1)).rejects.toMatchObject({ code: 'rate_limited' });
    await expect(write('x', 'other', 1)).rejects.toMatchObject({ code: 'rate_limited' });
    await turn();
    await store.accept();
    const room = write('x', 'other', 4 * mib);
    await turn();
    expect(store.requests.at(-1)).toMatchObject({ sessionId: 'other' });
    await expect(write('x', 's0', 1)).rejects.toMatchObject({ code: 'rate_limited' });
    for (let requests = 0; requests < 16; requests++) await store.accept();
    await room;
  });

  it('takes at most 100,000 messages in all, however small', async () => {
    for (let index = 0; index < 100_000; index++) void write('x', `s${index % 100}`, 1);
    await expect(write('x', 'other', 1)).rejects.toMatchObject({ code: 'rate_limited' });
    await turn();
    await store.accept();
    const room = write('x', 'other', 1);
    await turn();
    expect(store.requests.at(-1)).toMatchObject({ sessionId: 'other' });
    void room;
  });
});
