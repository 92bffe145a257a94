import { describe, expect, it } from 'vitest';
import { conflicts } from '../../src/config/conflicts.js';
import { loadConfig } from '../../src/config/load.js';
import type { Config } from '../../src/config.js';

const SECRET = 's'.repeat(32);
const RULE = { principals: '*', sessions: '*', allow: ['own' as const] };
const { config: defaults } = loadConfig({ env: {}, flags: {} });
const good: Config = { ...defaults, secret: SECRET, auth: ['anonymous'], access: 'open' };

describe('settings that do not fit together', () => {
  it.each<[Partial<Config>, string]>([
    [{ secret: undefined }, 'holdfast keygen'],
    [{ auth: undefined }, '--auth is missing'],
    [{ auth: ['jwt'] }, '--auth jwt needs HOLDFAST_JWT_SECRET'],
    [{ access: 'rules' }, 'allows nobody anything'],
    [{ rights: [RULE] }, 'makes the rights of the file void'],
    [{ port: 9090 }, 'both 9090'],
    [{ pongTimeoutMs: 25_000 }, 'less than --ping-interval-ms'],
    [{ apiKey: SECRET }, 'must differ'],
  ])('%j', (change, problem) => {
    const found = conflicts({ ...good, ...change }, true);
    expect(found).toHaveLength(1);
    expect(found[0]).toContain(problem);
    expect(found[0]).not.toContain(SECRET);
  });

  it.each<Partial<Config>>([
    {},
    { access: 'rules', rights: [RULE] },
    { access: 'rules', auth: ['jwt'], jwtSecret: 'j'.repeat(32) },
    { port: 0, internalPort: 0 },
  ])('but %j do', (change) => {
    expect(conflicts({ ...good, ...change }, true)).toEqual([]);
  });

  it('asks for secret and auth only where they must be stated', () => {
    expect(conflicts({ ...defaults, access: 'open' }, false)).toEqual([]);
    expect(conflicts(defaults, true)).toHaveLength(2);
  });
});
