import { describe, expect, test } from 'vitest';
import { type Command, step, type Verb } from '../../src/session/machine.js';
import type { ClaimRequest, PrincipalRule, ReclaimRequest } from '../../src/session/ports.js';
import { type SessionRecord } from '../../src/session/record.js';
import { caller, context, free, NOW_MS, owned, reclaim, resultOf, timings } from './machine-fixtures.js';

describe('a repeated attempt', () => {
  const attempted: SessionRecord = { ...owned, attemptHash: 'attempt', attemptAtMs: NOW_MS - 10_000 };
  const claimed: SessionRecord = { ...attempted, consumedTokenHash: '' };
  const repeats = (connectionId: string, changed: Partial<ClaimRequest> = {}): Command => ({
    verb: 'claim',
    request: { ...caller(connectionId), mode: 'subscribe', attemptHash: 'attempt', ...changed },
  });
  const represents = (changed: Partial<ReclaimRequest> = {}): Command => ({
    verb: 'reclaim',
    request: {
      ...caller('c_new'),
      attemptHash: 'attempt',
      presentedTokenHash: 'consumed',
      claimIfExpired: false,
      ...changed,
    },
  });

  test.each([
    ['claim', claimed, repeats('c_new')],
    ['claim while held', { ...claimed, state: 'held' as const }, repeats('c_owner')],
    ['reclaim', attempted, represents()],
    ['reclaim while held', { ...attempted, state: 'held' as const }, represents()],
  ])('of a %s gets the session at a new epoch, with the token and the window that it had', (_, record, command) => {
    const done = step<Verb>(record, command, context);
    expect(done.outcome).toMatchObject({ result: 'owned', replayed: true, tokenHash: 'current' });
    expect(done.record).toMatchObject({ state: 'owned', tokenHash: 'current', attemptAtMs: attempted.attemptAtMs });
    expect(done.record.consumedTokenHash).toBe(record.consumedTokenHash);
    expect(done.record.epoch).toBeGreaterThan(record.epoch);
    expect(done.event?.reason).toBe('reclaimed');
  });

  test('by the owner itself changes nothing', () => {
    expect(step<Verb>(claimed, repeats('c_owner'), context)).toMatchObject({
      record: claimed,
      outcome: { replayed: true },
    });
  });

  test('of the owner that asked again after its reclaim is a repeated claim', () => {
    const asked = step<Verb>(attempted, repeats('c_owner', { attemptHash: 'second' }), context);
    expect(asked.record).toMatchObject({ attemptHash: 'second', attemptAtMs: NOW_MS, consumedTokenHash: '' });
    const done = step<Verb>(asked.record, repeats('c_new', { requestId: 'next', attemptHash: 'second' }), context);
    expect(done.outcome).toMatchObject({ result: 'owned', replayed: true, tokenHash: 'fresh' });
  });

  const endMs = attempted.attemptAtMs + timings.attemptWindowMs;
  test.each([
    ['in the window’s last moment', attempted, represents(), { nowMs: endMs }, 'owned'],
    ['of a reclaim after the window', attempted, represents(), { nowMs: endMs + 1 }, 'token_used'],
    ['of a claim after the window', claimed, repeats('c_new'), { nowMs: endMs + 1 }, 'unclaimed'],
    ['with another token', attempted, represents({ presentedTokenHash: 'other' }), {}, 'unclaimed'],
    ['that was a reclaim, as a claim', attempted, repeats('c_new'), {}, 'unclaimed'],
    ['by another principal', claimed, repeats('c_new', { principal: 'principal-2' }), {}, 'unclaimed'],
    ['to re-establish', claimed, repeats('c_new', { mode: 'reestablish' }), {}, 'unclaimed'],
    ['that is empty', { ...claimed, attemptHash: '' }, repeats('c_new', { attemptHash: '' }), {}, 'unclaimed'],
    ['under another’s lock', claimed, repeats('c_new'), { lockValue: 'another' }, 'busy'],
  ])('%s', (_, record, command, changed, result) => {
    expect(resultOf(step<Verb>(record, command, { ...context, ...changed }).outcome)).toBe(result);
  });
});

describe('principals', () => {
  const rows: [PrincipalRule, string, string, string, string][] = [
    ['exact', 'principal-1', 'principal-1', 'owned', 'principal-1'],
    ['exact', 'principal-1', 'principal-2', 'unclaimed', 'principal-1'],
    ['restore', 'anon:1', 'anon:2', 'owned', 'anon:1'],
    ['restore', 'principal-1', 'anon:2', 'unclaimed', 'principal-1'],
    ['replace', 'anon:1', 'anon:2', 'owned', 'anon:2'],
    ['replace', 'principal-1', 'anon:2', 'unclaimed', 'principal-1'],
  ];

  test.each(rows)('%s: %s reclaimed by %s is %s', (principalRule, recorded, principal, result, after) => {
    const request = {
      ...caller('c_new'),
      principal,
      principalRule,
      presentedTokenHash: 'current',
      claimIfExpired: false,
    };
    const done = step<Verb>({ ...owned, principal: recorded }, { verb: 'reclaim', request }, context);
    expect(resultOf(done.outcome)).toBe(result);
    expect(done.record.principal).toBe(after);
  });

  test.each(rows)('%s: the attempt of %s repeated by %s is %s', (principalRule, recorded, principal, result, after) => {
    const record = {
      ...owned,
      principal: recorded,
      consumedTokenHash: '',
      attemptHash: 'attempt',
      attemptAtMs: NOW_MS,
    };
    const request = { ...caller('c_new'), principal, principalRule, attemptHash: 'attempt', mode: 'claim' as const };
    const done = step<Verb>(record, { verb: 'claim', request }, context);
    expect(resultOf(done.outcome)).toBe(result);
    expect(done.record.principal).toBe(after);
  });
});

test('a busy answer leaves enough time and shortens nothing', () => {
  const locked = { ...context, lockValue: 'another' };
  for (const [leftMs, expectedMs] of [
    [100, timings.busyExtensionMs],
    [9_000, 9_000],
  ] as const) {
    const { record } = step<Verb>({ ...owned, deadlineMs: NOW_MS + leftMs }, reclaim('current'), locked);
    expect(record.deadlineMs - NOW_MS).toBe(expectedMs);
  }
});

test('a token that is no longer current claims only if asked to', () => {
  const request = { ...caller('c_new'), presentedTokenHash: 'older', claimIfExpired: false };
  const watching = step<Verb>(free, { verb: 'reclaim', request }, context);
  expect(watching).toEqual({
    record: free,
    outcome: expect.objectContaining({ result: 'unclaimed', tokenExpired: true }),
  });
  const claiming = step<Verb>(free, { verb: 'reclaim', request: { ...request, claimIfExpired: true } }, context);
  expect(claiming.outcome).toMatchObject({ result: 'owned', tokenExpired: true, tokenHash: 'fresh' });
});
