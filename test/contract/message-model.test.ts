import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { AppendRequest, StreamState } from '../../src/session/message-ports.js';
import { testRedis } from '../support/redis.js';
import { sweepAll } from './harness.js';
import { type MessageAct, type MessageProgress, messageActs, requestOf } from './message-acts.js';
import { MessageBench, type MessageHarness } from './message-harness.js';
import { memoryMessageHarness } from './message-memory-harness.js';
import { redisMessageHarness } from './message-redis-harness.js';
import { OwnershipPlayer, PLAYER_TIMINGS } from './ownership-player.js';

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
    const player = new OwnershipPlayer(this.#harness, sessionId);
    const progress: MessageProgress = { sessionId, owners: [], top: 0, sequences: [] };
    const seen: unknown[] = [];
    let last: AppendRequest | undefined;
    for (const [n, act] of sequence.entries()) {
      if (act.verb === 'append') last = requestOf(act, n, progress);
      const isShort = (act.verb === 'append' || act.verb === 'repeat') && last?.retention.maxAgeMs === 1;
      // So that what was there before is older than a moment in both.
      if (isShort) await this.#harness.wait(3);
      seen.push(act.verb === 'own' ? await player.play(act.act, n) : await this.#perform(act, last, player, epochs));
      if (isShort) await this.#harness.wait(3);
      const { connectionId, epoch } = await player.peek();
      if (epoch !== (progress.owners[0]?.epoch ?? 0)) progress.owners.unshift({ connectionId, epoch });
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
    act: Exclude<MessageAct, { verb: 'own' }>,
    last: AppendRequest | undefined,
    player: OwnershipPlayer,
    epochs: Epochs,
  ): Promise<unknown> {
    const { store, ownership } = this.#harness;
    const { sessionId } = player;
    switch (act.verb) {
      case 'append':
      case 'repeat': {
        if (last === undefined) return undefined;
        const { state, epoch } = await player.peek();
        const outcome = await store.append(last);
        // Another request of the writer may be answered with what was right then.
        if (act.verb === 'append' && act.behind === 0) {
          const wrong = last.items.filter(
            ({ owner }, i) =>
              owner && (owner.epoch < epoch || state === 'free') && outcome.results[i]?.result === 'accepted',
          );
          expect(wrong, 'accepted of former owners').toEqual([]);
        }
        return epochs.of(outcome);
      }
      case 'look': {
        const { stream, ...view } = await ownership.read(sessionId);
        return [player.relations.view(view), epochs.state(stream)];
      }
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
  const redisHarness = redisMessageHarness(() => testRedis().url);
  harnesses = [await memoryMessageHarness(PLAYER_TIMINGS), await redisHarness(PLAYER_TIMINGS)];
  // Past the gap with which every store begins: nothing lapses in it.
  for (const { ownership } of harnesses) await sweepAll(ownership);
});

afterAll(() => Promise.all(harnesses.map((harness) => harness.close())));

test('the Redis scripts do what the definition does', async () => {
  const [definition, redis] = harnesses.map((harness) => new System(harness));
  await fc.assert(
    fc.asyncProperty(messageActs, async (sequence) => {
      const sessionId = `model:${randomUUID()}`;
      expect(await redis?.play(sessionId, sequence)).toEqual(await definition?.play(sessionId, sequence));
    }),
    { numRuns: 75, interruptAfterTimeLimit: 15_000 },
  );
});
