import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { MessageBatch } from '../../src/session/message-ports.js';
import { type Follower, startStream, turns } from './stream-harness.js';

/** What may happen between others, each of any number of times. */
const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('publish' as const), count: fc.integer({ min: 1, max: 5 }) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('ephemeral' as const) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('lose' as const), count: fc.integer({ min: 1, max: 5 }) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('delay' as const), count: fc.integer({ min: 1, max: 3 }) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('arrive' as const) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('compare' as const) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('join' as const),
      since: fc.constantFrom('none' as const, 'oldest' as const, 'left' as const, 'unknown' as const),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('leave' as const), who: fc.nat(7) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('stall' as const), who: fc.nat(7) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('drain' as const), who: fc.nat(7) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('fail over' as const), lost: fc.nat(6) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('truncate' as const), back: fc.nat(5) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('remove' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('away' as const), away: fc.boolean() }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('turn' as const), turns: fc.integer({ min: 1, max: 8 }) }) },
);

type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

interface Limits {
  lagBytes: number;
  maxCount: number;
  readLimit: number;
  /** How many turns each answer of the store takes, in turn: a later one may come first. */
  slowness: number[];
  /** Whether the node keeps so much of other sessions that nothing is kept of this one. */
  noWindow: boolean;
}

const limits = fc.record({
  lagBytes: fc.constantFrom(0, 300, 100_000),
  maxCount: fc.constantFrom(0, 5, 1_000),
  readLimit: fc.constantFrom(1, 3, 1_000),
  slowness: fc.array(fc.constantFrom(0, 1, 5, 20), { minLength: 1, maxLength: 5 }),
  noWindow: fc.boolean(),
});

async function run(steps: readonly Step[], { lagBytes, maxCount, readLimit, slowness, noWindow }: Limits) {
  const world = startStream({ lagBytes, retention: { maxCount } });
  const { store, stream } = world;
  store.readLimit = readLimit;
  let answers = 0;
  store.reply = () => turns(slowness[answers++ % slowness.length]);
  const elsewhere = noWindow ? 64 * 1_048_576 : 0;
  world.budget.bytes = elsewhere;
  const followers: Follower[] = [];
  const gone: Follower[] = [];
  const delayed: MessageBatch[] = [];
  const at = (index: number) => followers[index % Math.max(followers.length, 1)];
  followers.push(world.join());
  for (const what of steps) {
    switch (what.do) {
      case 'publish':
        stream.receive(world.write(what.count));
        break;
      case 'ephemeral':
        stream.receive(world.writeEphemeral());
        break;
      case 'lose':
        world.write(what.count);
        break;
      case 'delay':
        delayed.push(world.write(what.count));
        break;
      case 'arrive':
        for (const batch of delayed.splice(0)) stream.receive(batch);
        break;
      case 'compare':
        await world.compare().catch(() => {});
        break;
      case 'join': {
        const left = gone.at(-1)?.trace().position;
        const since = { none: undefined, oldest: 'oldest', left, unknown: { epoch: '1', offset: 2 } } as const;
        followers.push(world.join(since[what.since]));
        break;
      }
      case 'leave': {
        const who = at(what.who);
        if (who === undefined) break;
        stream.leave(who.subscriber);
        followers.splice(followers.indexOf(who), 1);
        gone.push(who);
        break;
      }
      case 'stall': {
        const who = at(what.who);
        if (who !== undefined) who.subscriber.stalled = true;
        break;
      }
      case 'drain': {
        const who = at(what.who);
        if (who !== undefined) who.subscriber.stalled = false;
        who?.subscriber.drain();
        break;
      }
      case 'fail over':
        store.failOver(what.lost);
        break;
      case 'truncate':
        await store.truncate('', store.state.top - what.back);
        break;
      case 'remove':
        await store.remove();
        break;
      case 'away':
        store.away = what.away;
        break;
      case 'turn':
        await turns(what.turns);
        break;
    }
  }
  // Everybody is there again; then all must be where the store is.
  store.away = false;
  for (const { subscriber } of followers) {
    subscriber.stalled = false;
    subscriber.drain();
  }
  const isDone = () => {
    const { epoch, top } = store.state;
    return followers.every((follower) => {
      const { position } = follower.trace();
      return position.epoch === epoch && position.offset === top;
    });
  };
  for (let tries = 0; tries < 200 && !isDone(); tries++) {
    await world.compare();
    await turns(4);
    // A read that failed is repeated after a while.
    if (tries > 20) await new Promise((resolve) => setTimeout(resolve, 10));
  }
  stream.close();
  world.budget.bytes -= elsewhere;
  return { world, followers, gone, isDone };
}

describe('a live stream', () => {
  it('shows each message once and in order, or says that it does not (M1)', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60, size: 'max' }), limits, async (steps, given) => {
        const { world, followers, gone, isDone } = await run(steps, given);
        for (const follower of gone) follower.trace();
        expect(isDone()).toBe(true);
        for (const follower of followers) {
          for (const { offset, number } of follower.trace().seen) expect(number).toBe(world.store.written[offset - 1]);
        }
        expect(world.budget.bytes).toBe(0);
      }),
      { numRuns: 150 },
    );
  }, 60_000);
});
