import { describe, expect, it } from 'vitest';
import { OPEN_RIGHTS, type PrincipalRule, rightsOf } from '../../src/session/rights.js';

const own = ['watch', 'own'] as const;

describe('rights', () => {
  it('are none without a rule', () => {
    expect(rightsOf('ann', [], []).allows('watch', 's')).toBe(false);
  });

  it('come from claims and from rules, by session pattern', () => {
    const rules: PrincipalRule[] = [{ principals: '*', sessions: 'public:*', allow: ['watch'] }];
    const rights = rightsOf('ann', [{ sessions: 'doc:7', allow: own }], rules);
    expect(rights.allows('own', 'doc:7')).toBe(true);
    expect(rights.allows('own', 'doc:77')).toBe(false);
    expect(rights.allows('force', 'doc:7')).toBe(false);
    expect(rights.allows('watch', 'public:x')).toBe(true);
    expect(rights.allows('own', 'public:x')).toBe(false);
  });

  it('take what is no asterisk literally', () => {
    const rights = rightsOf('ann', [{ sessions: 'a.c', allow: own }], []);
    expect(rights.allows('watch', 'a.c')).toBe(true);
    expect(rights.allows('watch', 'abc')).toBe(false);
  });

  it('put the caller for {principal}, of which no character is a pattern', () => {
    const rules: PrincipalRule[] = [{ principals: '*', sessions: 'user:{principal}:*', allow: own }];
    expect(rightsOf('ann', [], rules).allows('own', 'user:ann:1')).toBe(true);
    expect(rightsOf('ann', [], rules).allows('own', 'user:bob:1')).toBe(false);
    expect(rightsOf('*', [], rules).allows('own', 'user:bob:1')).toBe(false);
    expect(rightsOf('a.*', [], rules).allows('own', 'user:abc:1')).toBe(false);
  });

  it('can be given on all sessions of a namespace', () => {
    const rules: PrincipalRule[] = [
      { principals: 'bob', namespace: 'room', allow: ['watch', 'signal'] },
      { principals: '*', namespace: 'default', allow: ['watch'] },
    ];
    const rights = rightsOf('bob', [], rules);
    expect(rights.allows('signal', 'room:1')).toBe(true);
    expect(rights.allows('own', 'room:1')).toBe(false);
    expect(rights.allows('watch', 'rooms:1')).toBe(false);
    expect(rights.allows('watch', 'no-namespace')).toBe(true);
    expect(rights.allows('signal', 'no-namespace')).toBe(false);
    expect(rightsOf('alice', [], rules).allows('watch', 'room:1')).toBe(false);
  });

  it('can be given to some principals, and to anonymous ones together', () => {
    const rules: PrincipalRule[] = [
      { principals: 'staff-*', sessions: '*', allow: own },
      { principals: 'anon:*', sessions: 'demo:*', allow: ['watch'] },
    ];
    expect(rightsOf('staff-1', [], rules).allows('own', 'x')).toBe(true);
    expect(rightsOf('ann', [], rules).allows('watch', 'x')).toBe(false);
    expect(rightsOf('anon:1', [], rules).allows('watch', 'demo:1')).toBe(true);
    expect(rightsOf('anon:1', [], rules).allows('own', 'demo:1')).toBe(false);
  });

  it('stay linear on hostile patterns', () => {
    const rights = rightsOf('ann', [{ sessions: `${'*a'.repeat(40)}b`, allow: own }], []);
    const startedMs = performance.now();
    expect(rights.allows('own', 'a'.repeat(128))).toBe(false);
    expect(performance.now() - startedMs).toBeLessThan(1_000);
  });

  it('do not include force under open access', () => {
    expect(OPEN_RIGHTS.allows('own', 's')).toBe(true);
    expect(OPEN_RIGHTS.allows('force', 's')).toBe(false);
  });
});
