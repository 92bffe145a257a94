import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BACK_OFF_FLOOR_MS, type Closure, MAX_HINT_MS, planRetry } from '../../src/client/retry-plan.js';
import { fullJitterMs } from '../../src/lib/backoff.js';

const lost: Closure = { code: 1006, attempt: 0, hint: undefined, canRefreshLogin: false };
/** The same numbers in every run. */
function seeded(seed = 1): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}
const highest = () => 1 - Number.EPSILON;

describe('full-jitter backoff', () => {
  it('grows from 100 ms to 20 s', () => {
    const bounds = Array.from({ length: 10 }, (_, attempt) =>
      fullJitterMs(attempt, { baseMs: 100, capMs: 20_000 }, highest),
    );
    expect(bounds).toEqual([99, 199, 399, 799, 1_599, 3_199, 6_399, 12_799, 19_999, 19_999]);
  });

  it('is spread over the whole range, whatever the attempt', () => {
    fc.assert(
      fc.property(
        fc.nat(10_000),
        fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        (attempt, fraction) => {
          const delayMs = fullJitterMs(attempt, { baseMs: 100, capMs: 20_000 }, () => fraction);
          const bound = Math.min(20_000, 100 * 2 ** Math.min(attempt, 30));
          expect(delayMs).toBe(Math.floor(fraction * bound));
        },
      ),
    );
  });
});

describe('the first attempts', () => {
  it('lie well inside the default grace of 30 s', () => {
    const random = seeded();
    const sums = Array.from({ length: 10_000 }, () => {
      const delays = Array.from({ length: 7 }, (_, attempt) => {
        return planRetry({ ...lost, attempt }, random) ?? Number.NaN;
      });
      return delays.reduce((sum, delay) => sum + delay);
    });
    sums.sort((a, b) => a - b);
    const mean = sums.reduce((sum, one) => sum + one) / sums.length;
    // 100 + 200 + … + 6 400 ms is 12.7 s, of which each wait is half on average.
    expect(mean).toBeGreaterThan(6_000);
    expect(mean).toBeLessThan(6_700);
    expect(sums.at(-1)).toBeLessThan(12_700);
  });
});

describe('the plan after a close', () => {
  it('is made for every code from 1000 to 4999, and never to come back at once for ever', () => {
    for (let code = 1_000; code < 5_000; code++) {
      const delays = [0, 5, 50].map((attempt) =>
        planRetry({ ...lost, code, attempt, canRefreshLogin: true, hint: { afterMs: 0, jitterMs: 0 } }, () => 0.5),
      );
      const isFinal = code >= 4_000 && code <= 4_099;
      if (isFinal) expect(delays).toEqual([undefined, undefined, undefined]);
      else expect(delays[1]).toBeGreaterThanOrEqual(1_600);
      expect(delays[2] ?? 20_000).toBeLessThanOrEqual(20_000);
    }
  });

  it('comes back at once, more or less, after a lost connection or a restart', () => {
    for (const code of [1000, 1001, 1006, 1012, 4300]) {
      expect(planRetry({ ...lost, code }, highest)).toEqual(99);
    }
  });

  it('obeys the hint of the gateway, within reason', () => {
    const hint = { afterMs: 500, jitterMs: 1_000 };
    const plan = (random: number, attempt = 0) => planRetry({ ...lost, code: 1012, attempt, hint }, () => random);
    expect(plan(0)).toEqual(500);
    expect(plan(0.5)).toEqual(1_000);
    expect(plan(0.5, 3)).toEqual(1_000);
    expect(plan(0.5, 8)).toEqual(10_000);
    const endless = { afterMs: 1e12, jitterMs: -5 };
    expect(planRetry({ ...lost, hint: endless }, highest)).toEqual(MAX_HINT_MS);
  });

  it('waits for no longer than what was owned allows, or a second', () => {
    const plan = (maxWaitMs: number) => planRetry({ ...lost, attempt: 9, maxWaitMs }, highest);
    expect([60_000, 4_000, 500].map(plan)).toEqual([19_999, 3_999, 999]);
  });

  it('stops for good between 4000 and 4099, known or not', () => {
    for (const code of [4000, 4001, 4004, 4099]) expect(planRetry({ ...lost, code })).toBeUndefined();
  });

  it('waits at least a second between 4100 and 4199, hint or not', () => {
    for (const code of [4101, 4104, 4199]) {
      const plan = planRetry({ ...lost, code, hint: { afterMs: 0, jitterMs: 0 } }, () => 0);
      expect(plan).toEqual(BACK_OFF_FLOOR_MS);
    }
  });

  it('comes back with a new credential between 4200 and 4299, or not at all', () => {
    expect(planRetry({ ...lost, code: 4201 })).toBeUndefined();
    expect(planRetry({ ...lost, code: 4202, canRefreshLogin: true }, () => 0)).toEqual(0);
  });
});
