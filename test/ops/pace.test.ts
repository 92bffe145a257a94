import fc from 'fast-check';
import { expect, it } from 'vitest';
import { Pace, paceFor, paceMs } from '../../src/ops/pace.js';
import { busiestSecond } from '../support/busiest-second.js';

/** When something went, with a step after each of these waits. */
function wentMs(perSecond: number, waits: readonly number[]): number[] {
  const pace = new Pace(perSecond, 0);
  const went: number[] = [];
  let nowMs = 0;
  for (const waitMs of waits) {
    nowMs += waitMs;
    while (pace.take(nowMs)) went.push(nowMs);
  }
  return went;
}

it('lets no more go within any second than it says, however late its steps come', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 2_000 }),
      fc.array(fc.oneof(fc.constant(50), fc.integer({ min: 1, max: 3_000 })), { maxLength: 200 }),
      (perSecond, waits) => {
        expect(busiestSecond(wentMs(perSecond, waits))).toBeLessThanOrEqual(perSecond);
      },
    ),
  );
});

it('keeps to that, too, when what was let go is gone late and all at once', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 2_000 }),
      fc.array(fc.tuple(fc.integer({ min: 1, max: 300 }), fc.boolean()), { maxLength: 200 }),
      (perSecond, steps) => {
        const pace = new Pace(perSecond, 0);
        const goneMs: number[] = [];
        let leaving = 0;
        let nowMs = 0;
        for (const [waitMs, storeAnswers] of steps) {
          nowMs += waitMs;
          if (storeAnswers) for (; leaving > 0; leaving -= 1) goneMs.push(nowMs);
          while (pace.take(nowMs, leaving)) leaving += 1;
        }
        expect(busiestSecond(goneMs)).toBeLessThanOrEqual(perSecond);
      },
    ),
  );
});

it.each([1, 7, 100, 5_000])('takes the time that it says, at %i a second', (perSecond) => {
  const ms = paceMs(perSecond * 10, perSecond);
  const went = wentMs(
    perSecond,
    Array.from({ length: Math.ceil(ms / 50) }, () => 50),
  );
  expect(Math.abs(went.length - perSecond * 10)).toBeLessThanOrEqual(1 + perSecond / 1_000);
  expect(paceFor(perSecond * 10, ms)).toBeCloseTo(perSecond);
});
