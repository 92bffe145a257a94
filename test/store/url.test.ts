import { describe, expect, test } from 'vitest';
import { parseRedisUrl, REDIS_URL_FORMS } from '../../src/store/redis/url.js';

describe('a Redis URL', () => {
  test.each([
    ['redis://redis.internal', 'standalone', [['redis.internal', 6379]], 0],
    ['redis://10.0.0.1:7000/3', 'standalone', [['10.0.0.1', 7000]], 3],
    ['redis://[::1]:7000/', 'standalone', [['::1', 7000]], 0],
    [
      'redis+sentinel://a,b:1/main',
      'sentinel',
      [
        ['a', 26379],
        ['b', 1],
      ],
      0,
    ],
    ['redis+sentinel://a/main/2', 'sentinel', [['a', 26379]], 2],
    [
      'redis+cluster://a:1,b',
      'cluster',
      [
        ['a', 1],
        ['b', 6379],
      ],
      0,
    ],
  ] as const)('%s names its servers', (url, kind, nodes, db) => {
    const target = parseRedisUrl(url);
    expect(target).toMatchObject({ kind, db, tls: false, username: undefined, password: undefined });
    expect(target.nodes).toEqual(nodes.map(([host, port]) => ({ host, port })));
  });

  test.each(['rediss://a', 'rediss+sentinel://a/main', 'rediss+cluster://a'])('%s means TLS', (url) => {
    expect(parseRedisUrl(url).tls).toBe(true);
  });

  test('carries credentials, decoded', () => {
    expect(parseRedisUrl('redis://app:p%40ss%2F:x@a')).toMatchObject({ username: 'app', password: 'p@ss/:x' });
    expect(parseRedisUrl('redis+cluster://:secret@a,b')).toMatchObject({ username: undefined, password: 'secret' });
    const target = parseRedisUrl('redis+sentinel://:one@a/main?sentinel_username=u&sentinel_password=two');
    expect(target).toMatchObject({ name: 'main', password: 'one', sentinelUsername: 'u', sentinelPassword: 'two' });
  });

  test.each([
    ['', 'none of these forms'],
    ['http://:hunter2@a', 'none of these forms'],
    ['redis:///0', 'none of these forms'],
    ['redis://app:hunter2@a,b', 'several hosts'],
    ['redis://hunter2@a', 'a user without a password'],
    ['redis://:hunter2%@a', 'no %XX'],
    ['redis://:hunter2@a b', 'a host is not'],
    ['redis://:hunter2@a:0', 'a port is not'],
    ['redis://:hunter2@a:99999', 'a port is not'],
    ['redis://:hunter2@a/x', 'the database is not'],
    ['redis://:hunter2@a/1/2', 'the database is not'],
    ['redis+cluster://:hunter2@a/1', 'only database 0'],
    ['redis+sentinel://:hunter2@a', 'the name of the master group'],
    ['redis+sentinel://a/main?password=hunter2', 'a parameter that is not known'],
    ['redis://a?sentinel_password=hunter2', 'a parameter that is not known'],
    ['redis://:hun#ter2@a', 'none of these forms'],
  ])('%j is refused with what is wrong and what is allowed, without the password', (url, what) => {
    let message = '';
    try {
      parseRedisUrl(url);
    } catch (error) {
      message = (error as Error).message;
    }
    expect(message).toContain(what);
    for (const form of REDIS_URL_FORMS) expect(message).toContain(form);
    expect(message).not.toMatch(/hunter2|ter2/);
  });
});
