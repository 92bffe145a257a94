import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { OwnershipEvent } from '../../src/session/ports.js';
import { testRedis } from '../support/redis.js';
import { type Act, acts } from './commands.js';
import { Bench, type StoreHarness, startedHarness } from './harness.js';
import { memoryHarness } from './memory-harness.js';
import { OwnershipPlayer, PLAYER_TIMINGS } from './ownership-player.js';
import { redisHarnesses } from './redis-harness.js';

/** One of the two stores, with a session of its own for each sequence. */
class System {
  readonly #harness: StoreHarness;
  readonly #bench: Bench;

  constructor(harness: StoreHarness) {
    this.#harness = harness;
    this.#bench = new Bench(harness);
  }

  /** @returns everything that an application could see, one entry an act, then the events */
  async play(sessionId: string, sequence: readonly Act[]): Promise<unknown[]> {
    const { store, lock, wait } = this.#harness;
    const session = await this.#bench.session(sessionId);
    const player = new OwnershipPlayer({ ownership: store, lock, wait }, sessionId);
    const seen: unknown[] = [];
    for (const [n, act] of sequence.entries()) seen.push(...(await player.play(act, n)));
    const events = await session.events();
    const { relations } = player;
    return [...seen, ...events.map(({ epoch, ...event }: OwnershipEvent) => relations.view({ ...event, epoch }))];
  }
}

let harnesses: StoreHarness[] = [];

beforeAll(async () => {
  const { store } = redisHarnesses(() => testRedis().url);
  harnesses = [await startedHarness(memoryHarness, PLAYER_TIMINGS), await startedHarness(store, PLAYER_TIMINGS)];
});

afterAll(() => Promise.all(harnesses.map((harness) => harness.close())));

test('the Redis scripts do what the state machine does', async () => {
  const [machine, redis] = harnesses.map((harness) => new System(harness));
  await fc.assert(
    fc.asyncProperty(acts, async (sequence) => {
      const sessionId = `model:${randomUUID()}`;
      expect(await redis?.play(sessionId, sequence)).toEqual(await machine?.play(sessionId, sequence));
    }),
    { numRuns: 150, interruptAfterTimeLimit: 15_000 },
  );
});
