import { describe, expect, it } from 'vitest';
import { testTokens } from './domain-harness.js';

const OLD = `old:${'o'.repeat(32)}`;
const NEW = `new:${'n'.repeat(32)}`;
const ATTEMPT = 'attempt-of-at-least-122-bits';

describe('reconnect tokens', () => {
  it('are fresh without an attempt and the same with one, on any node', () => {
    const [one, other] = [testTokens(), testTokens()];
    expect(one.next('s', 'ann', '', undefined)).not.toBe(one.next('s', 'ann', '', undefined));
    const derived = one.next('s', 'ann', 'presented', ATTEMPT);
    expect(other.next('s', 'ann', 'presented', ATTEMPT)).toBe(derived);
    for (const [session, principal, presented, attempt] of [
      ['s2', 'ann', 'presented', ATTEMPT],
      ['s', 'bob', 'presented', ATTEMPT],
      ['s', 'ann', 'another', ATTEMPT],
      ['s', 'ann', 'presented', `${ATTEMPT}2`],
    ] as const) {
      expect(one.next(session, principal, presented, attempt)).not.toBe(derived);
    }
  });

  it('are uuid v4 and a MAC', () => {
    const pattern = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\.[\w-]{43}$/;
    expect(testTokens().next('s', 'ann', '', undefined)).toMatch(pattern);
    expect(testTokens().next('s', 'ann', '', ATTEMPT)).toMatch(pattern);
  });

  it('are genuine for their session and principal only', () => {
    const tokens = testTokens();
    const token = tokens.next('s', 'ann', '', undefined);
    expect(tokens.isGenuine('s', 'ann', token)).toBe(true);
    expect(tokens.isGenuine('s2', 'ann', token)).toBe(false);
    expect(tokens.isGenuine('s', 'bob', token)).toBe(false);
    expect(testTokens(NEW).isGenuine('s', 'ann', token)).toBe(false);
    for (const at of [0, 20, 37, 60]) {
      const flipped = token.slice(0, at) + (token[at] === 'a' ? 'b' : 'a') + token.slice(at + 1);
      expect(tokens.isGenuine('s', 'ann', flipped), `position ${at}`).toBe(false);
    }
    for (const junk of ['', 'abc', '.', `${token}x`, token.slice(0, -1), `${token}\n`, ` ${token}`]) {
      expect(tokens.isGenuine('s', 'ann', junk), JSON.stringify(junk)).toBe(false);
    }
  });

  it('bind an anonymous connection by themselves, since its principal is made up', () => {
    const tokens = testTokens();
    const token = tokens.next('s', 'anon:1', '', undefined);
    expect(tokens.isGenuine('s', 'anon:2', token)).toBe(true);
    expect(tokens.isGenuine('s', 'ann', token)).toBe(false);
  });

  it('outlive the rotation of secrets, and so does the answer to a repeated attempt', () => {
    const before = testTokens(OLD);
    const during = testTokens(`${NEW},${OLD}`);
    const token = before.next('s', 'ann', '', ATTEMPT);
    expect(during.isGenuine('s', 'ann', token)).toBe(true);
    expect(during.next('s', 'ann', '', ATTEMPT)).not.toBe(token);
    expect(during.successor(before.hash(token), 's', 'ann', '', ATTEMPT)).toBe(token);
    expect(testTokens(NEW).successor(before.hash(token), 's', 'ann', '', ATTEMPT)).toBeUndefined();
  });
});
