import { expect, test } from 'vitest';
import { standing } from '../../src/session/position.js';

const state = {
  epoch: '300',
  top: 20,
  first: 5,
  forks: [
    { epoch: '200', offset: 12 },
    { epoch: '100', offset: 8 },
    { epoch: '50', offset: 2 },
  ],
};

test.each([
  ['at the end', '300', 20, 'recoverable'],
  ['just before the oldest message', '300', 4, 'recoverable'],
  ['before a message that is gone', '300', 3, 'lost'],
  ['beyond the end', '300', 21, 'lost'],
  ['at the end of an earlier epoch', '200', 12, 'recoverable'],
  ['beyond what an earlier epoch handed down', '200', 13, 'lost'],
  ['in an epoch before that', '100', 8, 'recoverable'],
  ['in an earlier epoch, before a message that is gone', '100', 3, 'lost'],
  ['in an epoch of which everything is gone', '50', 2, 'lost'],
  ['in an epoch that nobody knows', '250', 10, 'lost'],
  ['in no epoch', '', 10, 'lost'],
] as const)('a position %s (%s, %i) is %s', (_, epoch, offset, expected) => {
  expect(standing(state, { epoch, offset })).toBe(expected);
});

test('in a stream without messages only its beginning is recoverable', () => {
  const empty = { epoch: '300', top: 0, first: 1, forks: [] };
  expect(standing(empty, { epoch: '300', offset: 0 })).toBe('recoverable');
  expect(standing(empty, { epoch: '300', offset: 1 })).toBe('lost');
});

test('where nothing is kept only the end is recoverable', () => {
  const nothing = { epoch: '300', top: 9, first: 10, forks: [{ epoch: '200', offset: 9 }] };
  expect(standing(nothing, { epoch: '300', offset: 9 })).toBe('recoverable');
  expect(standing(nothing, { epoch: '200', offset: 9 })).toBe('recoverable');
  expect(standing(nothing, { epoch: '300', offset: 8 })).toBe('lost');
});
