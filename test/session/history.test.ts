import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  append,
  type HistoryContext,
  newStream,
  readRange,
  type SentMessage,
  type Stream,
  stateOf,
  truncate,
} from '../../src/session/history.js';
import type { AppendRequest, MessageBatch, Retention } from '../../src/session/message-ports.js';
import { standing } from '../../src/session/position.js';
import { copiedStream, entriesOf } from '../support/copied-stream.js';
import { messageItem } from '../support/message-item.js';

const START_MS = 1_000_000;

interface Message {
  size: number;
  ephemeral: boolean;
  /** 0 stands for none. */
  key: number;
  owner: boolean;
}

type Act = { afterMs: number } & (
  | { verb: 'append'; writer: number; behind: number; messages: Message[]; retention: Retention }
  | { verb: 'truncate'; through: number }
  /** The store starts anew, after it lost that many of the last requests. */
  | { verb: 'restart'; lost: number }
);

const message: fc.Arbitrary<Message> = fc.record({
  size: fc.nat({ max: 40 }),
  ephemeral: fc.nat({ max: 4 }).map((n) => n === 0),
  key: fc.nat({ max: 6 }),
  owner: fc.nat({ max: 3 }).map((n) => n > 0),
});
const retention: fc.Arbitrary<Retention> = fc.record({
  maxCount: fc.constantFrom(0, 1, 5, 16, 33),
  maxBytes: fc.constantFrom(0, 30, 200, 10_000),
  maxAgeMs: fc.constantFrom(1, 100, 1_000),
  whenFull: fc.constantFrom('drop_oldest', 'refuse'),
});
const afterMs = fc.constantFrom(0, 0, 1, 10, 60, 500, 2_000);
const acts = fc.array(
  fc.oneof(
    {
      weight: 12,
      arbitrary: fc.record({
        verb: fc.constant('append' as const),
        writer: fc.nat({ max: 2 }),
        behind: fc.constantFrom(0, 0, 0, 1, 2),
        messages: fc.array(message, { minLength: 1, maxLength: 6 }),
        retention,
        afterMs,
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({ verb: fc.constant('truncate' as const), through: fc.nat({ max: 60 }), afterMs }),
    },
    { weight: 2, arbitrary: fc.record({ verb: fc.constant('restart' as const), lost: fc.nat({ max: 3 }), afterMs }) },
  ),
  { minLength: 1, maxLength: 40 },
);

const OWNER = { state: 'held', connectionId: 'c_1', epoch: 7 } as const;

/** One stream with the store's time, which can be set back to what it was before its last requests. */
class World {
  nowMs = START_MS;
  stream: Stream;
  #sent = new Map<string, SentMessage>();
  #run = 1;
  #sequences = [0, 0, 0];
  #texts = 0;
  #backups: [Stream, Map<string, SentMessage>][] = [];

  constructor() {
    this.stream = newStream({ nowUs: START_MS * 1_000, runId: 'run-1' });
  }

  /** @returns the request, whether it is the writer's newest, and what came of it */
  append(act: Extract<Act, { verb: 'append' }>) {
    this.#backups.push([copiedStream(this.stream), new Map(this.#sent)]);
    const last = this.#sequences[act.writer] ?? 0;
    const sequence = Math.max(last + 1 - act.behind, 1);
    const isNew = sequence > last;
    if (isNew) this.#sequences[act.writer] = sequence;
    const items = act.messages.map(({ size, ephemeral, key, owner }) => {
      this.#texts += 1;
      return messageItem(`${this.#texts} ${'x'.repeat(size)}`, {
        ephemeral,
        owner: { connectionId: owner ? 'c_1' : 'c_2', epoch: 7 },
        ...(key !== 0 && { idempotency: { hash: `k${key}`, fingerprint: 'same' } }),
      });
    });
    const request = { sessionId: 's', writerId: `w${act.writer}`, sequence, retention: act.retention, items };
    return { request, isNew, done: this.repeat(request) };
  }

  repeat(request: AppendRequest): ReturnType<typeof append> {
    const context: HistoryContext = {
      nowMs: this.nowMs,
      nowUs: this.nowMs * 1_000,
      runId: `run-${this.#run}`,
      owner: OWNER,
      sent: this.#sent,
    };
    return append(this.stream, request, context);
  }

  restart(lost: number): void {
    this.#run += 1;
    // Which takes longer than the clocks of two servers may differ: epochs that are times rise over a loss of data.
    this.nowMs += 1;
    for (let i = 0; i < lost; i += 1) {
      const backup = this.#backups.pop();
      if (backup !== undefined) [this.stream, this.#sent] = backup;
    }
  }

  /** The offsets that can be read, each with its text. */
  history(): [number, string][] {
    return readRange(this.stream, { after: 0 }, 1_000, this.nowMs).map(({ offset, tail }) => [offset, tail.toString()]);
  }
}

const storedOf = (batch: MessageBatch | undefined) => batch?.messages.filter(({ ephemeral }) => !ephemeral) ?? [];

test('no offset is given twice in an epoch, and what is read is what was published, without gap', () => {
  fc.assert(
    fc.property(acts, (sequence) => {
      const world = new World();
      const given = new Map<string, string>();
      for (const act of sequence) {
        world.nowMs += act.afterMs;
        if (act.verb === 'restart') world.restart(act.lost);
        else if (act.verb === 'truncate') truncate(world.stream, act.through);
        else {
          const top = world.stream.top;
          const { batch } = world.append(act).done;
          const stored = storedOf(batch);
          expect(stored.map(({ offset }) => offset)).toEqual(stored.map((_, i) => top + 1 + i));
          for (const { offset, tail } of stored) {
            const name = `${batch?.epoch} ${offset}`;
            expect(given.has(name)).toBe(false);
            given.set(name, tail.toString());
          }
        }
        const state = stateOf(world.stream, world.nowMs);
        const history = world.history();
        expect(history.map(([offset]) => offset)).toEqual(history.map((_, i) => state.first + i));
        expect(state.first + history.length).toBe(state.top + 1);
        // The epoch of each offset: the oldest fork that reaches up to it, or else the one that goes on.
        for (const [offset, text] of history) {
          const { epoch } = state.forks.findLast((fork) => offset <= fork.offset) ?? state;
          // Of forks only the newest are known.
          if (state.forks.length < 8) expect(given.get(`${epoch} ${offset}`)).toBe(text);
        }
      }
    }),
    { numRuns: 500 },
  );
});

test('a position is recoverable only for who saw what the history has', () => {
  fc.assert(
    fc.property(acts, (sequence) => {
      const world = new World();
      const published: { epoch: string; offset: number; text: string }[] = [];
      for (const act of sequence) {
        world.nowMs += act.afterMs;
        if (act.verb === 'restart') world.restart(act.lost);
        else if (act.verb === 'append') {
          const { batch } = world.append(act).done;
          const epoch = batch?.epoch ?? '';
          published.push(...storedOf(batch).map(({ offset, tail }) => ({ epoch, offset, text: tail.toString() })));
        }
      }
      // A restart is noticed by the next message at the latest; before that its offsets are the old epoch's.
      world.repeat({
        sessionId: 's',
        writerId: 'last',
        sequence: 1,
        retention: { maxCount: 100, maxBytes: 10_000, maxAgeMs: 1_000, whenFull: 'drop_oldest' },
        items: [messageItem('last')],
      });
      const state = stateOf(world.stream, world.nowMs);
      const history = new Map(world.history());
      for (const { epoch, offset, text } of published) {
        const known = history.get(offset);
        if (known === undefined || standing(state, { epoch, offset }) === 'lost') continue;
        expect(known).toBe(text);
      }
    }),
    { numRuns: 500 },
  );
});

test('bounds are kept', () => {
  fc.assert(
    fc.property(acts, (sequence) => {
      const world = new World();
      for (const act of sequence) {
        world.nowMs += act.afterMs;
        if (act.verb !== 'append') continue;
        const { retention } = act;
        const before = world.history();
        const { batch } = world.append(act).done;
        const history = world.history();
        const bytes = history.reduce((sum, [, text]) => sum + text.length, 0);
        expect(world.stream.bytes).toBe(bytes);
        expect(world.stream.writers.size).toBeLessThanOrEqual(3);
        if (batch === undefined) {
          expect(history).toEqual(before);
          continue;
        }
        expect(history.length).toBeLessThanOrEqual(retention.maxCount);
        expect(bytes).toBeLessThanOrEqual(retention.maxBytes);
      }
    }),
    { numRuns: 300 },
  );
});

test('the same request again is answered the same and does nothing', () => {
  fc.assert(
    fc.property(acts, (sequence) => {
      const world = new World();
      for (const act of sequence) {
        world.nowMs += act.afterMs;
        if (act.verb !== 'append') continue;
        const { request, done } = world.append(act);
        const contents = () => structuredClone({ ...world.stream, entries: entriesOf(world.stream.entries) });
        const before = contents();
        expect(world.repeat(request)).toEqual({ outcome: done.outcome });
        expect(contents()).toEqual(before);
      }
    }),
    { numRuns: 200 },
  );
});

test('a message is stored once under its idempotency hash', () => {
  fc.assert(
    fc.property(acts, (sequence) => {
      const world = new World();
      const offsets = new Map<string, number>();
      for (const act of sequence) {
        world.nowMs += act.afterMs;
        if (act.verb !== 'append') continue;
        const { request, isNew, done } = world.append(act);
        if (!isNew) continue;
        for (const [i, result] of done.outcome.results.entries()) {
          const hash = request.items[i]?.idempotency?.hash;
          if (hash === undefined || !('offset' in result)) continue;
          expect(result.result).toBe(offsets.has(hash) ? 'duplicate' : 'accepted');
          expect(result.offset).toBe(offsets.get(hash) ?? result.offset);
          offsets.set(hash, result.offset);
        }
      }
    }),
    { numRuns: 300 },
  );
});

const plain = (writerId: string, sequence = 1, maxAgeMs = 1_000_000): AppendRequest => ({
  sessionId: 's',
  writerId,
  sequence,
  retention: { maxCount: 1_000, maxBytes: 10_000, maxAgeMs, whenFull: 'drop_oldest' },
  items: [messageItem('x')],
});

test('an epoch is larger than the one before, whatever the clock says', () => {
  const world = new World();
  const before = Number(world.stream.epoch);
  world.restart(0);
  world.nowMs = START_MS - 5_000;
  expect(Number(world.repeat(plain('w1')).outcome.epoch)).toBe(before + 1);
});

test('ages are looked at 16 times in the greatest age, which is still allowed', () => {
  const world = new World();
  const offsetsAfter = (ms: number, sequence: number) => {
    world.nowMs += ms;
    world.repeat(plain('w1', sequence, 160));
    return world.history().map(([offset]) => offset);
  };
  expect(offsetsAfter(0, 1)).toEqual([1]);
  expect(offsetsAfter(2, 2)).toEqual([1, 2]);
  expect(offsetsAfter(158, 3)).toEqual([1, 2, 3]);
  expect(offsetsAfter(9, 4)).toEqual([1, 2, 3, 4]);
  expect(offsetsAfter(1, 5)).toEqual([3, 4, 5]);
});

test('a history ends with its greatest age', () => {
  const world = new World();
  world.repeat(plain('w1', 1, 160));
  world.nowMs += 159;
  expect(world.history()).toHaveLength(1);
  world.nowMs += 1;
  expect(world.history()).toEqual([]);
});

test('what comes when a history has ended does not bring it back', () => {
  const world = new World();
  world.repeat(plain('w1', 1, 160));
  world.nowMs += 160;
  world.repeat(plain('w1', 2, 160));
  expect(world.history()).toEqual([[2, 'x']]);
});

test('writers that were not seen for a minute are forgotten when there are many', () => {
  const world = new World();
  for (let i = 1; i <= 16; i += 1) world.repeat(plain(`w${i}`));
  world.nowMs += 60_001;
  expect(world.repeat(plain('w1')).batch).toBeUndefined();
  world.repeat(plain('w2', 2));
  expect(world.stream.writers.size).toBe(16);
  world.repeat(plain('w17'));
  expect([...world.stream.writers.keys()]).toEqual(['w2', 'w17']);
  for (let i = 100; i < 200; i += 1) world.repeat(plain(`w${i}`));
  expect(world.stream.writers.size).toBe(102);
});
