import { expect, it } from 'vitest';
import { ClockWatch } from '../../src/ops/clock-watch.js';
import { FakeClock } from '../support/fake-clock.js';
import { silent } from '../support/silent.js';

function start() {
  const system = new FakeClock();
  const lines: string[] = [];
  const say = (_fields: object, message: string) => lines.push(message);
  const watch = new ClockWatch({ log: { ...silent, warn: say, info: say }, system });
  /** The store's clock is ahead of the node's by so much, and answers after so long. */
  const measure = (offsetMs: number, tookMs = 20) =>
    watch.measure(async () => {
      const answerMs = system.wallMs() + offsetMs + tookMs / 2;
      system.advance(tookMs);
      return answerMs;
    });
  return { watch, system, lines, measure };
}

it.each([300_000, -300_000])('goes by the time of a store that is %d ms ahead, and says so once', async (offsetMs) => {
  const { watch, system, lines, measure } = start();
  expect(watch.aheadMs).toBeUndefined();
  await measure(offsetMs);
  await measure(offsetMs);
  expect(watch.aheadMs).toBe(-offsetMs);
  expect(watch.clock.wallMs()).toBe(system.wallMs() + offsetMs);
  expect(watch.clock.monotonicMs()).toBe(system.monotonicMs());
  expect(lines).toEqual([expect.stringContaining('set both by NTP')]);
  await measure(3_000);
  expect(lines).toHaveLength(1);
  await measure(10);
  expect(lines).toEqual([lines[0], 'the clocks of this node and the store agree again']);
});

it('says nothing of a few seconds', async () => {
  const { watch, lines, measure } = start();
  await measure(4_900);
  expect([watch.aheadMs, lines]).toEqual([-4_900, []]);
});

it('believes no answer that took long, and passes on that there was none', async () => {
  const { watch, measure } = start();
  await measure(60_000, 1_500);
  expect(watch.aheadMs).toBeUndefined();
  await expect(watch.measure(() => Promise.reject(new Error('away')))).rejects.toThrow('away');
});
