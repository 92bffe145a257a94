import { expect, it } from 'vitest';
import { VerifiedTokens } from '../../src/login/verified-tokens.js';

function counting(limit?: number) {
  const tokens = new VerifiedTokens<{ token: string; untilMs: number }>(limit);
  const calls: string[] = [];
  const get = (token: string, nowMs = 0) =>
    tokens.get(token, nowMs, async () => {
      calls.push(token);
      return { token, untilMs: 100 };
    });
  return { tokens, calls, get };
}

it('verifies a token once until it ends', async () => {
  const { calls, get } = counting();
  expect(await get('a')).toEqual({ token: 'a', untilMs: 100 });
  expect(await get('a', 99)).toEqual({ token: 'a', untilMs: 100 });
  expect(calls).toEqual(['a']);
  await get('a', 100);
  expect(calls).toEqual(['a', 'a']);
});

it('forgets the one that was used the longest ago', async () => {
  const { tokens, calls, get } = counting(2);
  for (const token of ['a', 'b', 'a', 'c', 'a', 'b']) await get(token);
  expect(calls).toEqual(['a', 'b', 'c', 'b']);
  expect(tokens.size).toBe(2);
});

it('holds 10,000 tokens', async () => {
  const { tokens, get } = counting();
  for (let i = 0; i < 10_010; i += 1) await get(String(i));
  expect(tokens.size).toBe(10_000);
});

it('does not remember failures', async () => {
  const tokens = new VerifiedTokens();
  const fail = () => Promise.reject(new Error('refused'));
  await expect(tokens.get('a', 0, fail)).rejects.toThrow('refused');
  await expect(tokens.get('a', 0, fail)).rejects.toThrow('refused');
  expect(tokens.size).toBe(0);
});
