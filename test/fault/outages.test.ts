import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Calls } from '../../bench/outages/calls.js';
import { Followed, Ledger, type Said } from '../../bench/outages/ledger.js';
import { promised } from '../../bench/outages/promises.js';
import { SCENARIOS } from '../../bench/outages/scenarios.js';
import { checksOf, type Evidence, lossOf } from '../../bench/outages/verdict.js';

const SESSION = 'owned:1';
const FAULT_MS = 10_000;

beforeEach(() => vi.useFakeTimers({ toFake: ['performance'] }));
afterEach(() => vi.useRealTimers());

function at(ms: number): void {
  vi.advanceTimersByTime(ms - performance.now());
}

/** Messages 1 … n of one author, acknowledged a second apart, the last of them just before the fault. */
function acknowledged(count: number): Ledger {
  const ledger = new Ledger();
  const times = Array.from({ length: count }, (_, i) => FAULT_MS - 1 - (count - 1 - i) * 1_000);
  ledger.acknowledged.set(SESSION, new Map([['a', times]]));
  return ledger;
}

function evidence(ledger: Ledger, numbers: readonly number[], rest: Partial<Evidence> = {}): Evidence {
  const said: Said[] = numbers.map((n) => ({ author: 'a', n }));
  const stored = new Map([[SESSION, { said, position: { epoch: 'e', offset: said.length } }]]);
  const verbs = new Calls().figures();
  for (const figures of Object.values(verbs)) figures.firstOkMs = 1;
  return {
    ledger,
    verbs,
    early: {},
    failing: 0,
    stored,
    behind: 0,
    faultMs: FAULT_MS,
    redisMs: 0,
    mayLoseMs: 0,
    ...rest,
  };
}

function brokenIn(given: Evidence): string[] {
  return checksOf(given, lossOf(given))
    .filter(({ measured, allowed }) => measured > allowed)
    .map(({ what }) => what);
}

describe('the verdict on an outage', () => {
  test('finds nothing when all is as promised', () => {
    expect(brokenIn(evidence(acknowledged(4), [1, 2, 3, 4]))).toEqual([]);
  });

  test('a lost message, which is excused shortly before the fault where the set-up may lose some', () => {
    const lost = 'acknowledged messages lost beyond what may be';
    expect(brokenIn(evidence(acknowledged(4), [1, 2, 3]))).toEqual([lost]);
    expect(brokenIn(evidence(acknowledged(4), [1, 2, 3], { mayLoseMs: 500 }))).toEqual([]);
    expect(brokenIn(evidence(acknowledged(4), [1, 2, 4], { mayLoseMs: 500 }))).toEqual([lost]);
    const late = evidence(acknowledged(4), [1, 2, 3], { faultMs: FAULT_MS - 10 });
    expect(brokenIn(late)).toEqual([lost]);
  });

  test('a message that is stored twice, or before its predecessor', () => {
    expect(brokenIn(evidence(acknowledged(3), [1, 2, 2, 3]))).toEqual(['messages stored twice']);
    expect(brokenIn(evidence(acknowledged(3), [1, 3, 2]))).toEqual(['messages stored out of order']);
  });

  test('an owner that lost its session, excused as a message is', () => {
    const ledger = new Ledger();
    ledger.lostOwners.push({ session: SESSION, grantedMs: FAULT_MS - 800, how: 'told lost' });
    expect(brokenIn(evidence(ledger, []))).toEqual(['owners lost beyond what may be']);
    expect(brokenIn(evidence(ledger, [], { mayLoseMs: 1_000 }))).toEqual([]);
  });

  test('two owners at one epoch, and an epoch that goes back', () => {
    const ledger = new Ledger();
    ledger.granted(SESSION, 5, 'c1');
    ledger.granted(SESSION, 5, 'c1');
    expect(brokenIn(evidence(ledger, []))).toEqual([]);
    ledger.granted(SESSION, 5, 'c2');
    ledger.granted(SESSION, 4, 'c3');
    expect(brokenIn(evidence(ledger, []))).toEqual(['two owners at one epoch', 'epochs that went back']);
  });

  test('a call that fails in another way, one that never works again, a caller left behind, and a slow recovery', () => {
    const given = evidence(new Ledger(), [], { redisMs: 2_000, failing: 1 });
    given.verbs.claim.errors = { store_unavailable: 3, internal: 1 };
    given.verbs.send.firstOkMs = undefined;
    given.verbs.refresh.allOkMs = 12_001;
    expect(brokenIn(given)).toEqual([
      'errors other than store_unavailable',
      'verbs that never worked again',
      'callers that still failed at the end',
      'ms from Redis back to all calls ok',
    ]);
  });
});

describe('what a watcher of the load checks', () => {
  const follow = () => {
    const ledger = new Ledger();
    return { ledger, followed: new Followed(ledger, 'watcher', { epoch: 'e1', offset: 0 }) };
  };

  test('messages that are skipped, doubled or reordered', () => {
    const { ledger, followed } = follow();
    followed.message(1, { author: 'a', n: 1 });
    followed.message(2, { author: 'a', n: 2 });
    expect(ledger.examples).toEqual([]);
    followed.message(4, { author: 'a', n: 3 });
    followed.message(4, { author: 'b', n: 1 });
    followed.message(5, { author: 'a', n: 1 });
    expect(ledger.findings).toMatchObject({ 'message skipped': 1, 'message doubled': 1, 'message reordered': 1 });
  });

  test('after a reset that tells of a loss what was said may come again, and without one it may not', () => {
    for (const recovered of [false, true]) {
      const { ledger, followed } = follow();
      followed.message(1, { author: 'a', n: 1 });
      followed.reset({ epoch: 'e2', offset: 0 }, recovered);
      followed.message(1, { author: 'a', n: 1 });
      expect(ledger.findings['message doubled']).toBe(recovered ? 1 : 0);
    }
  });
});

describe('the times of recovery', () => {
  test('are those of the first success, and of the last caller that had failed or waited', () => {
    const calls = new Calls();
    const call = (caller: string, startMs: number, endMs: number, code = 'ok') => {
      at(endMs);
      calls.record('claim', caller, startMs, code);
    };
    const t = FAULT_MS;
    at(t);
    calls.fault();
    call('in flight', t - 10, t + 100);
    call('a', t + 50, t + 300, 'store_unavailable');
    call('b', t + 200, t + 400);
    at(t + 500);
    calls.repaired();
    call('waits', t + 100, t + 1_500);
    call('a', t + 1_400, t + 1_600);
    call('c', t + 2_000, t + 3_500);
    expect(calls.figures().claim).toEqual({
      ok: 5,
      firstOkMs: 400,
      allOkMs: 1_600,
      slowestMs: 1_500,
      errors: { store_unavailable: 1 },
    });
  });

  test('are final when every verb works, nobody fails, and a while has passed', () => {
    const calls = new Calls();
    at(FAULT_MS);
    calls.fault();
    for (const verb of ['claim', 'send', 'publish', 'reclaim'] as const) calls.record(verb, 'a', FAULT_MS, 'ok');
    at(FAULT_MS + 5_000);
    expect(calls.isQuiet(1_000)).toBe(false);
    calls.record('refresh', 'a', FAULT_MS + 4_990, 'ok');
    expect(calls.isQuiet(1_000)).toBe(true);
    calls.record('send', 'a', FAULT_MS + 4_990, 'store_unavailable');
    at(FAULT_MS + 9_000);
    expect(calls.isQuiet(1_000)).toBe(false);
    calls.record('send', 'a', FAULT_MS + 8_990, 'ok');
    expect(calls.isQuiet(1_000)).toBe(false);
    at(FAULT_MS + 10_001);
    expect(calls.isQuiet(1_000)).toBe(true);
  });
});

test('every scenario finds what ARCHITECTURE.md promises of it', () => {
  for (const { rows } of Object.values(SCENARIOS)) expect(promised(rows)).toHaveLength(rows.length);
  expect(() => promised(['The moon falls'])).toThrow('no row "The moon falls"');
});
