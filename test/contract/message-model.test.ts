import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { AppendRequest, StreamState } from '../../src/session/message-ports.js';
import { testRedis } from '../support/redis.js';
import { LONG_MS } from './harness.js';
import { type MessageAct, type MessageProgress, messageActs, requestOf } from './message-acts.js';
import { MessageBench, type MessageHarness, type TestStream } from './message-harness.js';
import { memoryMessageHarness } from './message-memory-harness.js';
import { redisMessageHarness } from './message-redis-harness.js';

/** Epochs are times, and differ between two stores; in which order they come must not. */
class Epochs {
  readonly #ranks = new Map<string, number>([['', 0]]);

  rank(epoch: string): number {
    const known = this.#ranks.get(epoch);
    if (known !== undefined) return known;
    const rises = [...this.#ranks.keys()].every((earlier) => Number(earlier) < Number(epoch));
    const rank = rises ? this.#ranks.size : -1;
    this.#ranks.set(epoch, rank);
    return rank;
  }

  of<T extends { epoch: string }>(holder: T): object {
    return { ...holder, epoch: this.rank(holder.epoch) };
  }

  state(state: StreamState | undefined): object | undefined {
    return state && { ...this.of(state), forks: state.forks.map((fork) => this.of(fork)) };
  }
}

/** One of the two stores, with a session of its own for each sequence. */
class System {
  readonly #harness: MessageHarness;
  readonly #bench: MessageBench;

  constructor(harness: MessageHarness) {
    this.#harness = harness;
    this.#bench = new MessageBench(harness);
  }

  /** @returns everything that a caller could see, then what was published */
  async play(sessionId: string, sequence: readonly MessageAct[]): Promise<unknown[]> {
    const { store } = this.#harness;
    const stream = await this.#bench.stream(sessionId);
    const epochs = new Epochs();
    const nobody = { connectionId: '', epoch: 0 };
    const progress: MessageProgress = { sessionId, owner: nobody, former: nobody, top: 0, sequences: [] };
    const seen: unknown[] = [];
    let last: AppendRequest | undefined;
    for (const [n, act] of sequence.entries()) {
      if (act.verb === 'append') last = requestOf(act, n, progress);
      const isShort = (act.verb === 'append' || act.verb === 'repeat') && last?.retention.maxAgeMs === 1;
      // So that what was there before is older than a moment in both.
      if (isShort) await this.#harness.wait(3);
      seen.push(await this.#perform(act, last, stream, progress, epochs));
      if (isShort) await this.#harness.wait(3);
      const [view] = await this.#harness.ownership.peek([sessionId]);
      if (view !== undefined && view.epoch !== progress.owner.epoch) {
        progress.former = progress.owner;
        progress.owner = { connectionId: view.connectionId, epoch: view.epoch };
      }
      const { state, entries } = await store.read(sessionId, { after: 0 }, 1_000);
      progress.top = state.top;
      seen.push(epochs.state(state), entries.map(textOf));
    }
    const batches = await stream.batches();
    return [
      ...seen,
      ...batches.map(({ epoch, messages }) => [
        epochs.rank(epoch),
        messages.map((message) => `${textOf(message)} ${message.ephemeral}`),
      ]),
    ];
  }

  async #perform(
    act: MessageAct,
    last: AppendRequest | undefined,
    stream: TestStream,
    { sessionId, owner }: MessageProgress,
    epochs: Epochs,
  ): Promise<unknown> {
    const { store, ownership } = this.#harness;
    const lease = { sessionId, ...owner };
    switch (act.verb) {
      case 'append':
      case 'repeat':
        return last && epochs.of(await store.append(last));
      case 'claim':
        return (await stream.claim(`c_${act.who}`)).connectionId;
      case 'drop':
        return ownership.hold([lease], LONG_MS);
      case 'release':
        return ownership.release({
          ...lease,
          requestId: randomUUID(),
          reason: 'released',
          policy: 'next_subscriber',
          staysWatching: false,
        });
      case 'read':
        return (await store.read(sessionId, act.range, act.limit)).entries.map(textOf);
      case 'truncate':
        return epochs.state(await store.truncate(sessionId, act.through));
      case 'remove':
        return store.remove(sessionId);
    }
  }
}

const textOf = ({ offset, tail }: { offset: number; tail: string | Buffer }) => `${offset} ${tail.toString()}`;

let harnesses: MessageHarness[] = [];

beforeAll(async () => {
  harnesses = [await memoryMessageHarness(), await redisMessageHarness(() => testRedis().url)()];
});

afterAll(() => Promise.all(harnesses.map((harness) => harness.close())));

test('the Redis scripts do what the definition does', async () => {
  const [definition, redis] = harnesses.map((harness) => new System(harness));
  await fc.assert(
    fc.asyncProperty(messageActs, async (sequence) => {
      const sessionId = `model:${randomUUID()}`;
      expect(await redis?.play(sessionId, sequence)).toEqual(await definition?.play(sessionId, sequence));
    }),
    { numRuns: 200, interruptAfterTimeLimit: 15_000 },
  );
});
