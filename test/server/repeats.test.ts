import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { Repeats } from '../../src/server/repeats.js';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

let calls = 0;
const work = async () => `answer ${++calls}`;

it('remembers an answer for ten minutes', async () => {
  const repeats = new Repeats<string>(() => 1);
  const first = await repeats.once('a', work);
  vi.advanceTimersByTime(599_999);
  expect(await repeats.once('a', work)).toBe(first);
  vi.advanceTimersByTime(1);
  expect(await repeats.once('a', work)).not.toBe(first);
});

it.each([
  ['10,000 answers', 1, 10_000],
  ['16 MiB of them', 1_024 * 1_024, 17],
])('forgets the oldest beyond %s', async (_name, size, most) => {
  const repeats = new Repeats<string>(() => size);
  const answers: string[] = [];
  for (let n = 0; n < most; n++) answers.push(await repeats.once(`id ${n}`, work));
  const last = answers.at(-1);
  expect(await repeats.once(`id ${most - 1}`, work)).toBe(last);
  await repeats.once('one more', work);
  expect(await repeats.once('id 0', work)).not.toBe(answers[0]);
  expect(await repeats.once(`id ${most - 1}`, work)).toBe(last);
});

it('forgets what failed', async () => {
  const repeats = new Repeats<string>(() => 1);
  await expect(repeats.once('a', () => Promise.reject(new Error('away')))).rejects.toThrow('away');
  expect(await repeats.once('a', work)).toMatch(/^answer/);
});
