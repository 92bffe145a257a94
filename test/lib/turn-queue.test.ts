import { setImmediate as turn } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { TurnQueue } from '../../src/lib/turn-queue.js';

it('runs everything in its order, and lets others have their turns in between', async () => {
  const queue = new TurnQueue();
  const done: number[] = [];
  const busy = (index: number) => () => {
    const untilMs = performance.now() + 2;
    while (performance.now() < untilMs);
    done.push(index);
  };
  for (let index = 0; index < 50; index++) queue.add(busy(index));
  expect(done).toEqual([]);
  let turns = 0;
  for (; done.length < 50 && turns < 100; turns++) await turn();
  expect(done).toEqual(Array.from({ length: 50 }, (_, index) => index));
  expect(turns).toBeGreaterThan(5);
  queue.add(busy(50));
  await turn();
  await turn();
  expect(done.at(-1)).toBe(50);
});
