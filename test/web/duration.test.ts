import { expect, it } from 'vitest';
import { duration } from '../../src/web/duration.js';

const [MIN, HOUR, DAY] = [60_000, 3_600_000, 86_400_000];

it.each([
  [-5, '0 s'],
  [999, '0 s'],
  [59_999, '59 s'],
  [4 * MIN + 12_000, '4 min 12 s'],
  [5 * MIN, '5 min'],
  [HOUR + 59_000, '1 h'],
  [DAY + 3 * HOUR, '1 day 3 h'],
  [2 * DAY + 59 * MIN, '2 days'],
  [13 * DAY + 5 * HOUR, '13 days'],
])('%i ms are %s', (ms, words) => {
  expect(duration(ms)).toBe(words);
});
