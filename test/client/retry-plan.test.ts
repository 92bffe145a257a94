import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BACK_OFF_FLOOR_MS, type Closure, MAX_HINT_MS, planRetry } from '../../src/client/retry-plan.js';
import { fullJitterMs } from '../../src/lib/backoff.js';

const lost: Closure = { code: 1006, attempt: 0, hint: undefined, canRefreshLogin: false };
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

describe('the plan after a close', () => {
  it('comes back at once, more or less, after a lost connection or a restart', () => {
    for (const code of [1000, 1001, 1006, 1012, 4300]) {
      expect(planRetry({ ...lost, code }, highest)).toEqual({ action: 'retry', delayMs: 99 });
    }
  });

  it('obeys the hint of the gateway, within reason', () => {
    const hint = { afterMs: 500, jitterMs: 1_000 };
    expect(planRetry({ ...lost, code: 1012, attempt: 8, hint }, () => 0)).toEqual({ action: 'retry', delayMs: 500 });
    expect(planRetry({ ...lost, code: 1012, attempt: 8, hint }, () => 0.5)).toEqual({
      action: 'retry',
      delayMs: 1_000,
    });
    const endless = { afterMs: 1e12, jitterMs: -5 };
    expect(planRetry({ ...lost, hint: endless }, highest)).toEqual({ action: 'retry', delayMs: MAX_HINT_MS });
  });

  it('stops for good between 4000 and 4099, known or not', () => {
    for (const code of [4000, 4001, 4004, 4099]) expect(planRetry({ ...lost, code })).toEqual({ action: 'stop' });
  });

  it('waits at least a second between 4100 and 4199, hint or not', () => {
    for (const code of [4101, 4104, 4199]) {
      const plan = planRetry({ ...lost, code, hint: { afterMs: 0, jitterMs: 0 } }, () => 0);
      expect(plan).toEqual({ action: 'retry', delayMs: BACK_OFF_FLOOR_MS });
    }
  });

  it('comes back with a new credential between 4200 and 4299, or not at all', () => {
    expect(planRetry({ ...lost, code: 4201 })).toEqual({ action: 'stop' });
    expect(planRetry({ ...lost, code: 4202, canRefreshLogin: true }, () => 0)).toEqual({ action: 'retry', delayMs: 0 });
  });
});
