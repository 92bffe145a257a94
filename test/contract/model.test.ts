import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Command } from '../../src/session/machine.js';
import type { StreamState } from '../../src/session/message-ports.js';
import type { OwnershipEvent, SessionView } from '../../src/session/ports.js';
import { testRedis } from '../support/redis.js';
import { type Act, acts, commandOf, type Progress } from './commands.js';
import { Bench, LONG_MS, type StoreHarness, startedHarness } from './harness.js';
import { memoryHarness } from './memory-harness.js';
import { redisHarnesses } from './redis-harness.js';

/** Nothing but the leases of one millisecond may end within a sequence. */
const TIMINGS = { attemptWindowMs: LONG_MS, handoverPatienceMs: LONG_MS };

/** Epochs and times differ between two stores; how they relate within one must not. */
class Relations {
  readonly #ranks = new Map<number, number>([[0, 0]]);
  #streamEpoch: string | undefined;

  view({ epoch, deadlineMs, nowMs, ...rest }: SessionView): object {
    if (!this.#ranks.has(epoch)) this.#ranks.set(epoch, this.#ranks.size);
    const rises = epoch === Math.max(...this.#ranks.keys());
    return {
      ...rest,
      epoch: this.#ranks.get(epoch),
      rises,
      left: deadlineMs === 0 ? 'none' : left(deadlineMs - nowMs),
    };
  }

  stream({ epoch, ...rest }: StreamState): object {
    this.#streamEpoch ??= epoch;
    return { ...rest, stays: epoch === this.#streamEpoch };
  }
}

function left(ms: number): string {
  if (ms > LONG_MS / 2) return 'long';
  if (ms > LONG_MS / 30) return 'busy';
  return ms > 0 ? 'short' : 'over';
}

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
    const { store } = this.#harness;
    const session = await this.#bench.session(sessionId);
    const relations = new Relations();
    const progress: Progress = { sessionId, epoch: 0, connectionId: '', granted: [], last: undefined };
    const seen: unknown[] = [];
    let isShort = false;
    for (const [n, act] of sequence.entries()) {
      const command = commandOf(act, n, progress);
      if (command === undefined) continue;
      const perform = () => this.#perform(command, relations, progress);
      seen.push(act.locked ? await this.#harness.lock.withLock(sessionId, 1_000, perform) : await perform());
      if (act.verb !== 'repeat') isShort = act.short;
      if (isShort) await this.#harness.wait(3);
      const [view] = await store.peek([sessionId]);
      if (view === undefined) throw new Error('peek answers for each session');
      seen.push(relations.view(view));
      progress.epoch = view.epoch;
      progress.connectionId = view.connectionId;
      progress.last = command;
    }
    const events = await session.events();
    return [...seen, ...events.map(({ epoch, ...event }: OwnershipEvent) => relations.view({ ...event, epoch }))];
  }

  async #perform(command: Command, relations: Relations, { granted }: Progress): Promise<unknown> {
    const { store } = this.#harness;
    switch (command.verb) {
      case 'claim':
      case 'reclaim': {
        const outcome =
          command.verb === 'claim' ? await store.claim(command.request) : await store.reclaim(command.request);
        const { view, stream, retryAfterMs, tokenHash, ...rest } = outcome;
        const token = rest.result === 'owned' ? tokenHash : '';
        if (token !== '' && !granted.includes(token)) granted.push(token);
        const waits = retryAfterMs > 0;
        return { ...rest, token, waits, view: relations.view(view), stream: relations.stream(stream) };
      }
      case 'renew':
        return store.renew([command.lease], command.leaseMs);
      case 'hold':
        return store.hold([command.lease], command.holdMs);
      case 'release':
        return store.release(command.request);
      case 'transfer': {
        const { result, view } = await store.transfer(command.request);
        if (result === 'done' && command.request.target !== undefined) granted.push(command.request.target.tokenHash);
        return { result, view: relations.view(view) };
      }
    }
  }
}

let harnesses: StoreHarness[] = [];

beforeAll(async () => {
  const { store } = redisHarnesses(() => testRedis().url);
  harnesses = [await startedHarness(memoryHarness, TIMINGS), await startedHarness(store, TIMINGS)];
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
