import { expect, test } from 'vitest';
import { Rounds } from '../../src/store/memory/rounds.js';

test('comes by every entry in half as many steps as there are, again and again', () => {
  const untilMs = new Map(Array.from({ length: 100 }, (_, i) => [`${i}`, i % 2 === 0 ? 10 : 20]));
  const rounds = new Rounds(untilMs, (until, nowMs) => until <= nowMs);
  const steps = (count: number, nowMs: number) => {
    for (let i = 0; i < count; i += 1) rounds.step(nowMs);
    return untilMs.size;
  };
  expect(steps(200, 9)).toBe(100);
  expect(steps(10, 10)).toBeGreaterThan(80);
  expect(steps(51, 10)).toBe(50);
  untilMs.set('late', 15);
  expect(steps(30, 15)).toBe(50);
  expect(steps(30, 20)).toBe(0);
  expect(steps(3, 20)).toBe(0);
  untilMs.set('after', 20);
  expect(steps(2, 20)).toBe(0);
});
