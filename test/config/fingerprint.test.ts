import { expect, it } from 'vitest';
import { configFingerprint } from '../../src/config/fingerprint.js';
import { loadConfig } from '../../src/config/load.js';

function fingerprint(flags: Record<string, string>, env: Record<string, string> = {}): string {
  return configFingerprint(loadConfig({ flags, env }).config);
}

it('is the same for nodes that differ only in what is their own', () => {
  const first = fingerprint({ nodeId: 'a', port: '1', internalPort: '2', host: '127.0.0.1' });
  expect(fingerprint({ nodeId: 'b', port: '3', internalPort: '4', host: '0.0.0.0' })).toBe(first);
  expect(fingerprint({ graceMs: '20000' })).not.toBe(first);
});

it('tells nothing of a secret but that there is one', () => {
  const secret = (value: string) => fingerprint({}, { HOLDFAST_SECRET: value.repeat(40) });
  expect(secret('a')).toBe(secret('b'));
  expect(secret('a')).not.toBe(fingerprint({}));
  const redis = (password: string) => fingerprint({ redisUrl: `redis://user:${password}@127.0.0.1:6379` });
  expect(redis('one')).toBe(redis('two'));
});
