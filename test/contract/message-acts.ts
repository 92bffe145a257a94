import fc from 'fast-check';
import type { AppendRequest, HistoryRange, MessageItem, Retention } from '../../src/session/message-ports.js';
import { messageItem } from '../support/message-item.js';
import { type Act, act } from './commands.js';
import { hashOf, LONG_MS } from './harness.js';

/** A message of some connection or of the application, before it is known how the session stands. */
interface Draft {
  /** UTF-8 bytes are three times as many. */
  size: number;
  ephemeral: boolean;
  from: 'application' | 'owner' | 'former owner' | 'stranger';
  expectsOwner: 'any' | 'this' | 'former';
  /** How many owners there were after the former one that is meant, besides the present one. */
  age: number;
  /** The expected offset counted from the last one; undefined for any. */
  ahead: number | undefined;
  /** 0 stands for none. */
  key: number;
  fingerprint: number;
}

export type MessageAct =
  | { verb: 'append'; writer: number; behind: number; drafts: Draft[]; retention: Retention }
  | { verb: 'repeat' }
  | { verb: 'own'; act: Act }
  | { verb: 'look' }
  | { verb: 'read'; range: HistoryRange; limit: number }
  | { verb: 'truncate'; through: number }
  | { verb: 'remove' };

const draft: fc.Arbitrary<Draft> = fc.record({
  size: fc.constantFrom(0, 1, 5, 20),
  ephemeral: fc.constantFrom(false, false, false, true),
  from: fc.constantFrom('application', 'application', 'owner', 'owner', 'former owner', 'stranger'),
  expectsOwner: fc.constantFrom('any', 'any', 'any', 'this', 'former'),
  age: fc.constantFrom(0, 0, 1, 2),
  ahead: fc.constantFrom(undefined, undefined, undefined, 0, 1, -1),
  key: fc.constantFrom(0, 0, 0, 1, 2),
  fingerprint: fc.constantFrom(1, 1, 1, 2),
});

const retention: fc.Arbitrary<Retention> = fc.record({
  maxCount: fc.constantFrom(0, 1, 3, 16, 40, 1_000),
  maxBytes: fc.constantFrom(0, 50, 400, 10_000, 10_000),
  // The short one is over by the next act; nothing else is over before the end.
  maxAgeMs: fc.constantFrom(1, ...Array<number>(7).fill(10 * LONG_MS)),
  whenFull: fc.constantFrom('drop_oldest', 'drop_oldest', 'refuse'),
});

const offset = fc.integer({ min: -1, max: 40 });

/** Of so few that a connection that was the owner before often is again, at another epoch. */
const actOfTwo = act.filter(({ who }) => who < 2);

const gives = (each: Act) =>
  each.verb === 'claim' || each.verb === 'reclaim' || (each.verb === 'transfer' && each.reason !== 'removed');

export const messageActs: fc.Arbitrary<MessageAct[]> = fc.array(
  fc.oneof(
    {
      weight: 10,
      arbitrary: fc.record({
        verb: fc.constant('append' as const),
        writer: fc.nat({ max: 2 }),
        behind: fc.constantFrom(0, 0, 0, 0, 0, 1, 2),
        drafts: fc.array(draft, { minLength: 1, maxLength: 8 }),
        retention,
      }),
    },
    { weight: 2, arbitrary: fc.constant({ verb: 'repeat' as const }) },
    { weight: 4, arbitrary: fc.record({ verb: fc.constant('own' as const), act: actOfTwo }) },
    { weight: 8, arbitrary: fc.record({ verb: fc.constant('own' as const), act: actOfTwo.filter(gives) }) },
    { weight: 1, arbitrary: fc.constant({ verb: 'look' as const }) },
    {
      weight: 2,
      arbitrary: fc.record({
        verb: fc.constant('read' as const),
        range: fc.oneof(fc.record({ after: offset }), fc.record({ before: offset })),
        limit: fc.constantFrom(1, 3, 1_000),
      }),
    },
    { weight: 1, arbitrary: fc.record({ verb: fc.constant('truncate' as const), through: offset }) },
    { weight: 1, arbitrary: fc.constant({ verb: 'remove' as const }) },
  ),
  { minLength: 3, maxLength: 30, size: 'max' },
);

const NOBODY = { connectionId: '', epoch: 0 };

/** What an act is resolved against. */
export interface MessageProgress {
  sessionId: string;
  /** Every owner there was: epoch and connection, the newest first. */
  owners: { connectionId: string; epoch: number }[];
  top: number;
  /** The last request of each writer. */
  sequences: number[];
}

/** @param n the act's number, out of which texts are made: the same for every system that performs it */
export function requestOf(
  act: Extract<MessageAct, { verb: 'append' }>,
  n: number,
  progress: MessageProgress,
): AppendRequest {
  const { sessionId, sequences } = progress;
  const last = sequences[act.writer] ?? 0;
  const sequence = Math.max(last + 1 - act.behind, 1);
  sequences[act.writer] = Math.max(sequence, last);
  const items = act.drafts.map((each, i) => itemOf(each, `${n}.${i}`, progress));
  return { sessionId, writerId: `writer-${act.writer}`, sequence, retention: act.retention, items };
}

function itemOf(draft: Draft, name: string, { owners, top, sessionId }: MessageProgress): MessageItem {
  const [owner = NOBODY] = owners;
  const former = owners[1 + draft.age] ?? NOBODY;
  const item = messageItem(`${name} ${'€'.repeat(draft.size)}`, { ephemeral: draft.ephemeral });
  if (draft.from === 'owner') item.owner = { ...owner };
  if (draft.from === 'former owner') item.owner = { ...former };
  if (draft.from === 'stranger') item.owner = { ...owner, connectionId: 'c_stranger' };
  if (draft.expectsOwner === 'this') item.expectedOwnerEpoch = owner.epoch;
  if (draft.expectsOwner === 'former') item.expectedOwnerEpoch = former.epoch;
  if (draft.ahead !== undefined) item.expectedOffset = top + draft.ahead;
  if (draft.key > 0) {
    item.idempotency = { hash: hashOf(`${sessionId} ${draft.key}`), fingerprint: `f${draft.fingerprint}` };
  }
  return item;
}
