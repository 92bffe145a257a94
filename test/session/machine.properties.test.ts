import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Command, isDue, lapse, type Step, type StepContext, step, type Verb } from '../../src/session/machine.js';
import { EMPTY_RECORD, type SessionRecord } from '../../src/session/record.js';
import { type Act, acts, commandOf, type Progress } from '../contract/commands.js';
import { TEST_TIMINGS } from '../contract/harness.js';

interface Transition {
  before: SessionRecord;
  after: SessionRecord;
  /** Undefined for a lapse. */
  command: Command | undefined;
  outcome: unknown;
  event: Step<unknown>['event'];
  context: StepContext;
}

const run = (record: SessionRecord, command: Command, context: StepContext): Step<unknown> =>
  step<Verb>(record, command, context);

/** Applies the acts to one record, frozen so that a step that wrote to it would throw, and returns every transition. */
function transitionsOf(sequence: readonly Act[]): Transition[] {
  const transitions: Transition[] = [];
  const progress: Progress = { sessionId: 'session', epoch: 0, connectionId: '', granted: [], last: undefined };
  let record: SessionRecord = Object.freeze({ ...EMPTY_RECORD });
  const enter = (command: Command | undefined, done: Step<unknown>, context: StepContext) => {
    const after = Object.freeze({ ...done.record });
    transitions.push({ before: record, after, command, outcome: done.outcome, event: done.event, context });
    record = after;
    progress.epoch = record.epoch;
    progress.connectionId = record.connectionId;
    if (record.tokenHash !== '' && !progress.granted.includes(record.tokenHash))
      progress.granted.push(record.tokenHash);
  };
  for (const [n, act] of sequence.entries()) {
    const nowMs = 1_000 + 3 * n;
    const context: StepContext = {
      nowMs,
      nowUs: nowMs * 1_000,
      epochFloor: record.epoch + (act.who === 3 ? 10_000_000 : 0),
      lockValue: act.locked ? 'lock' : '',
      gapAtMs: 0,
      firstWatcher: act.who === 1 ? 'c_2' : '',
      timings: TEST_TIMINGS,
    };
    const command = commandOf(act, n, progress);
    if (command === undefined) continue;
    if (command.verb !== 'renew' && command.verb !== 'hold' && isDue(record, context)) {
      enter(undefined, { ...lapse(record, 'session', context), outcome: undefined }, context);
    }
    enter(command, run(record, command, context), context);
    progress.last = command;
  }
  return transitions;
}

function always(what: string, holds: (transition: Transition) => void): void {
  test(what, () => {
    fc.assert(
      fc.property(acts, (sequence) => {
        for (const transition of transitionsOf(sequence)) holds(transition);
      }),
      { numRuns: 500 },
    );
  });
}

const isGrant = ({ event }: Transition) => event !== undefined && event.state === 'owned';

always('the epoch rises at every change of owner, above everything given before, and else stays', (transition) => {
  const { before, after, context } = transition;
  if (isGrant(transition)) {
    expect(after.epoch).toBeGreaterThan(Math.max(before.epoch, context.epochFloor));
    expect(after.epoch).toBeGreaterThanOrEqual(context.nowUs);
  } else {
    expect(after.epoch).toBe(before.epoch);
    expect(after.state === 'owned' ? after.connectionId : '').toBe(after.state === 'owned' ? before.connectionId : '');
  }
});

always('rev counts the events, and each shows the record as it is then', ({ before, after, event, context }) => {
  expect(after.rev).toBe(before.rev + (event === undefined ? 0 : 1));
  if (event === undefined) return;
  const { state, epoch, rev, connectionId, nodeId, principal, deadlineMs } = after;
  const view = { state, epoch, rev, connectionId, nodeId, principal, deadlineMs, nowMs: context.nowMs };
  expect(event).toMatchObject({ ...view, previousConnectionId: before.connectionId });
});

always('state and owner change with an event only', ({ before, after, event }) => {
  if (event !== undefined) return;
  const { state, connectionId, nodeId, bootId, principal } = before;
  expect(after).toMatchObject({ state, connectionId, nodeId, bootId, principal });
});

always('a free session has no owner, no deadline and no token; any other has all three', ({ after }) => {
  const { connectionId, nodeId, bootId, principal, deadlineMs, tokenHash, attemptHash, consumedTokenHash } = after;
  const parts = [connectionId, nodeId, bootId, principal, deadlineMs, tokenHash];
  if (after.state === 'free') expect([...parts, attemptHash, consumedTokenHash].some(Boolean)).toBe(false);
  else expect(parts.every(Boolean)).toBe(true);
});

always('who is told that it owns the session does', ({ before, after, command, outcome }) => {
  if (command?.verb !== 'claim' && command?.verb !== 'reclaim') return;
  if (before.requestId === command.request.requestId) return;
  const answered = outcome as { result: string; tokenHash: string };
  if (answered.result !== 'owned') return;
  expect(after).toMatchObject({ state: 'owned', connectionId: command.request.connectionId });
  expect(answered.tokenHash).toBe(after.tokenHash);
});

always('a held session goes to nobody but the bearer of its token or of its attempt', (transition) => {
  const { before, command } = transition;
  if (before.state !== 'held' || command === undefined || !isGrant(transition)) return;
  if (command.verb === 'transfer') return;
  const request = command.verb === 'claim' || command.verb === 'reclaim' ? command.request : undefined;
  const presented = command.verb === 'reclaim' ? command.request.presentedTokenHash : '';
  const repeats = request?.attemptHash !== '' && request?.attemptHash === before.attemptHash;
  expect(presented === before.tokenHash || repeats).toBe(true);
});

always('a step under another’s lock gives nothing', (transition) => {
  if (transition.context.lockValue === '' || transition.command === undefined) return;
  expect(isGrant(transition)).toBe(false);
});

always('renew and hold act on their own lease alone, and a release too', ({ before, after, command }) => {
  if (command?.verb !== 'renew' && command?.verb !== 'hold' && command?.verb !== 'release') return;
  const lease = command.verb === 'release' ? command.request : command.lease;
  const isTheirs = before.connectionId === lease.connectionId && before.epoch === lease.epoch;
  if (!isTheirs || (command.verb !== 'release' && before.state !== 'owned')) expect(after).toEqual(before);
});

always(
  'the same request again is answered the same and changes nothing',
  ({ before, after, command, outcome, context }) => {
    if (command === undefined || !('request' in command) || after === before) return;
    if (after.requestId !== command.request.requestId) return;
    const again = run(after, command, { ...context, nowMs: context.nowMs + 1, lockValue: 'lock' });
    expect(again).toEqual({ record: after, outcome });
  },
);

always('repeating an attempt neither renews its window nor changes the token', ({ before, after, outcome }) => {
  if ((outcome as { replayed?: boolean } | undefined)?.replayed !== true) return;
  const { attemptHash, attemptAtMs, tokenHash, consumedTokenHash } = before;
  expect(after).toMatchObject({ attemptHash, attemptAtMs, tokenHash, consumedTokenHash });
});

test('the generated sequences reach every state and every outcome of a claim', () => {
  const seen = new Set<string>();
  for (const sequence of fc.sample(acts, { numRuns: 500, seed: 1 })) {
    for (const { after, outcome, event } of transitionsOf(sequence)) {
      seen.add(after.state);
      if (event !== undefined) seen.add(event.reason);
      if (typeof outcome === 'object' && outcome !== null && 'result' in outcome) seen.add(String(outcome.result));
    }
  }
  const results = ['owned', 'unclaimed', 'busy', 'not_next', 'token_used'];
  const reasons = ['claimed', 'reclaimed', 'handed_over', 'reestablished', 'transferred', 'removed'];
  const others = ['free', 'held', 'disconnected', 'released', 'expired'];
  expect([...seen]).toEqual(expect.arrayContaining([...results, ...reasons, ...others]));
});
