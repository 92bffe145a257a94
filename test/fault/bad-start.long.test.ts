/** What cannot work ends at once: exit code 1, one line on what to do, no stack and nothing in the log. */
import { createServer, type Server } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { SECRETS } from '../support/gateway-process.js';
import { freePorts } from '../support/ports.js';
import { type PrivateRedis, redisCall, startPrivateRedis } from '../support/redis-process.js';
import { serveOnce } from './surroundings.js';

const { HOLDFAST_SECRET } = SECRETS;

describe('serve ends with one line', () => {
  let redis: PrivateRedis;
  let hole: Server;
  const ports = { closed: 0, hole: 0 };

  beforeAll(async () => {
    redis = await startPrivateRedis();
    [ports.closed = 0, ports.hole = 0] = await freePorts(2);
    // It takes connections and never answers.
    hole = createServer(() => {}).listen(ports.hole, '127.0.0.1');
    for (const [user, ...rules] of [
      ['noscripts', '~*', '&*', '+@all', '-eval', '-evalsha'],
      ['nokeys', '~other:*', '&*', '+@all'],
      ['nochannels', '~*', 'resetchannels', '+@all'],
    ] as const) {
      await redisCall(redis.port, 'ACL', 'SETUSER', user, 'on', '>hush', ...rules);
    }
  });

  afterAll(async () => {
    hole.close();
    await redis.stop();
  });

  const at = (port: number, user = '') => `redis://${user}127.0.0.1:${port}`;

  test.each([
    ['a missing secret', {}, /HOLDFAST_SECRET is missing: make one with `holdfast keygen`/],
    ['an empty one', { HOLDFAST_SECRET: '' }, /HOLDFAST_SECRET is missing/],
    ['a short one', { HOLDFAST_SECRET: 'hush' }, /HOLDFAST_SECRET: \(hidden\) is not allowed.* shorter than 32 bytes/],
    ['a malformed list', { HOLDFAST_SECRET: `${HOLDFAST_SECRET},hush` }, /entry 2 is not of the form kid:secret/],
    [
      'one out of an example',
      { HOLDFAST_SECRET: 'not-a-secret-only-for-trying-out-on-your-own-machine' },
      /HOLDFAST_SECRET: out of an example, and known to everybody/,
    ],
  ])('at %s', async (_what, env, line) => {
    const { code, stdout, stderr } = await serveOnce([], env);
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(/^holdfast: [^\n]*\n$/);
    expect(stderr).toMatch(line);
    expect(stderr).not.toContain('hush');
  });

  test.each([
    ['that is not there', () => at(ports.closed), /cannot be reached \(connect ECONNREFUSED .*\); check that it runs/],
    ['that never answers', () => at(ports.hole), /cannot be reached \(.*\); check that it runs/],
    ['whose name means nothing', () => 'redis://redis.invalid', /has a host name that cannot be resolved; check DNS/],
    ['with another password', () => at(redis.port, 'noscripts:wrong@'), /refuses the user name or the password/],
    ['without that database', () => `${at(redis.port)}/99`, /has no database of that number; correct the number/],
    ['that does not speak TLS', () => at(redis.port).replace('redis:', 'rediss:'), /does not speak TLS never answers/],
    ['that forbids scripts', () => at(redis.port, 'noscripts:hush@'), /denies the user a command, a key or a channel/],
    ['that forbids the keys', () => at(redis.port, 'nokeys:hush@'), /denies the user a command, a key or a channel/],
    ['that forbids the channels', () => at(redis.port, 'nochannels:hush@'), /denies the user a command, a key or a ch/],
  ])('at a Redis %s', async (_what, url, line) => {
    const { code, stdout, stderr } = await serveOnce(['--redis-url', url()], { HOLDFAST_SECRET });
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(/^holdfast: [^\n]*\n$/);
    expect(stderr).toMatch(line);
    expect(stderr).not.toMatch(/hush|wrong/);
  });

  test.each([
    ['evicts', ['CONFIG', 'SET', 'maxmemory-policy', 'allkeys-lru'], /set maxmemory-policy noeviction/],
    ['is a replica', ['REPLICAOF', '127.0.0.1', '1'], /is a replica; use the master's address/],
  ] as const)('at a Redis that %s', async (_what, [command, ...args], line) => {
    const own = await startPrivateRedis();
    try {
      await redisCall(own.port, command, ...args);
      const { code, stdout, stderr } = await serveOnce(['--redis-url', own.url], { HOLDFAST_SECRET });
      expect([code, stdout]).toEqual([1, '']);
      expect(stderr).toMatch(/^holdfast: [^\n]*\n$/);
      expect(stderr).toMatch(line);
    } finally {
      await own.stop();
    }
  });

  test('where hardly a file may be open', async () => {
    const { code, stdout, stderr } = await serveOnce([], { HOLDFAST_SECRET }, 64);
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toBe('holdfast: only 64 files may be open; at least 128 are needed: raise ulimit -n\n');
  });
});
