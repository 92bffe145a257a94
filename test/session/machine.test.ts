import { describe, expect, test } from 'vitest';
import { type Command, isDue, lapse, step, type Verb } from '../../src/session/machine.js';
import { EMPTY_RECORD, type SessionRecord } from '../../src/session/record.js';
import {
  caller,
  claim,
  context,
  free,
  held,
  hold,
  NOW_MS,
  owned,
  reclaim,
  records,
  release,
  renew,
  resultOf,
  timings,
  transfer,
} from './machine-fixtures.js';

/** Which state a command leads to, what it is answered, and what is published; no reason: nothing is. */
const transitions: [keyof typeof records, string, Command, SessionRecord['state'], unknown, string?][] = [
  ['none', 'claim', claim('c_new'), 'owned', 'owned', 'claimed'],
  ['none', 'claim to re-establish', claim('c_new', 'reestablish'), 'owned', 'owned', 'reestablished'],
  ['none', 'reclaim', reclaim('any'), 'owned', 'owned', 'claimed'],
  ['none', 'renew', renew, 'free', 'missing'],
  ['none', 'hold', hold, 'free', false],
  ['none', 'release', release, 'free', false],
  ['none', 'transfer', transfer(0, 'c_new'), 'owned', 'done', 'transferred'],
  ['none', 'transfer to nobody', transfer(0), 'free', 'done'],
  ['free', 'claim', claim('c_new'), 'owned', 'owned', 'claimed'],
  ['free', 'claim to re-establish', claim('c_new', 'reestablish'), 'free', 'unclaimed'],
  ['free', 'reclaim', reclaim('current'), 'owned', 'owned', 'claimed'],
  ['free', 'renew', renew, 'free', 'lost'],
  ['free', 'hold', hold, 'free', false],
  ['free', 'release', release, 'free', false],
  ['free', 'transfer', transfer(7, 'c_new'), 'owned', 'done', 'transferred'],
  ['free', 'transfer at another epoch', transfer(6, 'c_new'), 'free', 'stale'],
  ['owned', 'claim by another', claim('c_new'), 'owned', 'unclaimed'],
  ['owned', 'claim by the owner', claim('c_owner'), 'owned', 'owned'],
  ['owned', 'claim to re-establish', claim('c_new', 'reestablish'), 'owned', 'unclaimed'],
  ['owned', 'reclaim with the current token', reclaim('current'), 'owned', 'owned', 'reclaimed'],
  ['owned', 'reclaim with the token before', reclaim('consumed'), 'owned', 'token_used'],
  ['owned', 'reclaim with an older token', reclaim('older'), 'owned', 'unclaimed'],
  ['owned', 'renew', renew, 'owned', 'renewed'],
  ['owned', 'hold', hold, 'held', true, 'disconnected'],
  ['owned', 'release', release, 'free', true, 'released'],
  ['owned', 'transfer', transfer(7, 'c_new'), 'owned', 'done', 'transferred'],
  ['owned', 'transfer to nobody', transfer(7), 'free', 'done', 'transferred'],
  ['owned', 'transfer at another epoch', transfer(8, 'c_new'), 'owned', 'stale'],
  ['held', 'claim by another', claim('c_new'), 'held', 'unclaimed'],
  ['held', 'claim by the connection that is gone', claim('c_owner'), 'held', 'unclaimed'],
  ['held', 'reclaim with the current token', reclaim('current'), 'owned', 'owned', 'reclaimed'],
  ['held', 'reclaim with the token before', reclaim('consumed'), 'held', 'token_used'],
  ['held', 'reclaim with an older token', reclaim('older'), 'held', 'unclaimed'],
  ['held', 'renew', renew, 'held', 'lost'],
  ['held', 'hold', hold, 'held', false],
  ['held', 'release', release, 'free', true, 'released'],
  ['held', 'transfer', transfer(7, 'c_new'), 'owned', 'done', 'transferred'],
  ['held', 'transfer to nobody', transfer(7), 'free', 'done', 'transferred'],
];

describe('transitions', () => {
  test.each(transitions)('%s: %s', (from, _, command, to, result, reason) => {
    const done = step<Verb>(records[from], command, context);
    expect(done.record.state).toBe(to);
    expect(resultOf(done.outcome)).toBe(result);
    expect(done.event?.reason).toBe(reason);
    if (reason !== undefined) expect(done.event?.requestId).toBe(reason === 'disconnected' ? '' : 'request');
  });

  test.each([
    ['free', 'claim', claim('c_new'), 'busy'],
    ['free', 'transfer', transfer(7, 'c_new'), 'busy'],
    ['owned', 'claim by another', claim('c_new'), 'unclaimed'],
    ['owned', 'claim by the owner', claim('c_owner'), 'busy'],
    ['owned', 'reclaim with the current token', reclaim('current'), 'busy'],
    ['owned', 'reclaim with the token before', reclaim('consumed'), 'token_used'],
    ['owned', 'renew', renew, 'renewed'],
    ['owned', 'hold', hold, true],
    ['owned', 'release', release, true],
    ['owned', 'transfer', transfer(7, 'c_new'), 'busy'],
    ['held', 'reclaim with the current token', reclaim('current'), 'busy'],
    ['held', 'release', release, true],
    ['held', 'transfer', transfer(7, 'c_new'), 'busy'],
  ] as const)('%s, under another’s lock: %s', (from, _, command, result) => {
    const done = step<Verb>(records[from], command, { ...context, lockValue: 'another' });
    expect(resultOf(done.outcome)).toBe(result);
    if (result !== 'busy') return;
    const waitsMs = Math.max(records[from].deadlineMs, from === 'free' ? 0 : NOW_MS + timings.busyExtensionMs);
    const kept = command.verb === 'transfer' ? records[from] : { ...records[from], deadlineMs: waitsMs };
    expect(done).toEqual({ record: kept, outcome: done.outcome });
  });

  test('the holder of the lock transfers', () => {
    expect(step<Verb>(owned, transfer(7, 'c_new'), { ...context, lockValue: 'mine' }).outcome).toBe('done');
  });
});

describe('deadlines', () => {
  test.each([
    [free, NOW_MS, 0, false],
    [owned, owned.deadlineMs - 1, 0, false],
    [owned, owned.deadlineMs, 0, true],
    [held, held.deadlineMs, 0, true],
    [held, held.deadlineMs, Number.POSITIVE_INFINITY, false],
    [held, held.deadlineMs, held.deadlineMs - held.leaseMs, true],
    [held, held.deadlineMs, held.deadlineMs - held.leaseMs + 1, false],
  ])(
    'a record is due from its deadline on, but not within its lease after a gap (%#)',
    (record, nowMs, gapAtMs, due) => {
      expect(isDue(record, { nowMs, gapAtMs })).toBe(due);
    },
  );

  test('a lapse frees the session and keeps the epoch', () => {
    const { record, event } = lapse(held, 'session', context);
    expect(record).toEqual({ ...EMPTY_RECORD, epoch: 7, rev: 4, freedAtMs: NOW_MS });
    expect(event).toMatchObject({ reason: 'expired', state: 'free', previousConnectionId: 'c_owner', requestId: '' });
  });

  test.each([
    [renew, NOW_MS + 15_000],
    [hold, NOW_MS + 30_000],
    [reclaim('current'), NOW_MS + 15_000],
    [transfer(7, 'c_new'), NOW_MS + 15_000],
    [release, 0],
  ])('each verb sets its deadline (%#)', (command, deadlineMs) => {
    expect(step<Verb>(owned, command, context).record.deadlineMs).toBe(deadlineMs);
  });
});

describe('epochs', () => {
  test.each([
    ['the time', {}, NOW_MS * 1_000],
    ['the record', { nowUs: 3 }, 8],
    ['the partition’s floor', { nowUs: 3, epochFloor: 50 }, 51],
  ])('rise above %s', (_, changed, epoch) => {
    expect(step<Verb>(free, claim('c_new'), { ...context, ...changed }).record.epoch).toBe(epoch);
  });
});

describe('a freed session under oldest_watcher', () => {
  const command: Command = {
    verb: 'claim',
    request: { ...caller('c_new'), mode: 'subscribe', policy: 'oldest_watcher' },
  };

  test('is promised to the first watcher for the rest of the patience', () => {
    const { outcome } = step<Verb>(free, command, { ...context, firstWatcher: 'c_first' });
    expect(outcome).toMatchObject({ result: 'not_next', retryAfterMs: 1_500 });
  });

  test.each([
    ['the first watcher itself', { firstWatcher: 'c_new' }],
    ['anybody when nobody watches', { firstWatcher: '' }],
    ['anybody after the patience', { firstWatcher: 'c_first', nowMs: free.freedAtMs + 2_000 }],
  ])('goes to %s', (_, changed) => {
    expect(resultOf(step<Verb>(free, command, { ...context, ...changed }).outcome)).toBe('owned');
  });
});
