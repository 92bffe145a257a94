import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  type Command,
  EMPTY_RECORD,
  isDue,
  lapse,
  type SessionRecord,
  type Step,
  type StepContext,
  step,
  type Verb,
} from '../../src/session/machine.js';
import { acts, commandOf, type Progress } from '../contract/commands.js';
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
function transitionsOf(sequence: Parameters<typeof acts.filter> extends never ? never : fcValue): Transition[] {
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
      mayLapse: true,
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

type fcValue = typeof acts extends fc.Arbitrary<infer Value> ? Value : never;

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
