/** A Redis that answers and takes no writes, seen from a node that runs: one line, readiness, one line when it is over. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type GatewayProcess, startGateway } from '../support/gateway-process.js';
import { type PrivateRedis, redisCall, startPrivateRedis } from '../support/redis-process.js';
import { lasting, linesOf, readiness, statusOf, written } from './surroundings.js';

const BEGUN = 'store does not work; open connections stay';
const OVER = 'store works again';

/** What holds while the store takes no writes, and after. */
async function comesThrough(
  node: GatewayProcess,
  code: string,
  { harm, heal }: Record<'harm' | 'heal', () => Promise<unknown>>,
): Promise<void> {
  const before = node.log.filter(({ msg }) => msg === BEGUN || msg === OVER).length;
  await harm();
  await lasting(
    'degraded',
    async () => {
      const { http, degraded } = await readiness(node);
      return http === 200 && degraded.length > 0 && (await statusOf(node)).store.trouble?.code === code;
    },
    6_000,
  );
  await heal();
  await node.untilReady(30_000);
  const lines = await written(node, code, 2);
  expect(lines.map(({ msg }) => msg)).toEqual([BEGUN, OVER]);
  expect(lines[0]).toMatchObject({ what: expect.stringMatching(/^Redis /), remedy: expect.stringMatching(/^[a-z]/) });
  expect(node.log.filter(({ msg }) => msg === BEGUN || msg === OVER)).toHaveLength(before + 2);
  node.check();
}

describe('a Redis that takes no writes', () => {
  let redis: PrivateRedis;
  let node: GatewayProcess;
  const redisIs = (...args: [string, ...(string | number)[]]) => redisCall(redis.port, ...args);

  beforeAll(async () => {
    redis = await startPrivateRedis();
    await redisIs('ACL', 'SETUSER', 'holdfast', 'on', '>hush', '~*', '&*', '+@all');
    const redisUrl = redis.url.replace('//', '//holdfast:hush@');
    node = await startGateway({ nodeId: 'n1', redisUrl, redisPrefix: 'hf', graceMs: 30_000 });
  });

  afterAll(async () => {
    await node.stop();
    await redis.stop();
  });

  test('since it has too few replicas', async () => {
    await comesThrough(node, 'redis_too_few_replicas', {
      harm: () => redisIs('CONFIG', 'SET', 'min-replicas-to-write', 1),
      heal: () => redisIs('CONFIG', 'SET', 'min-replicas-to-write', 0),
    });
  }, 60_000);

  test('since its memory is used up', async () => {
    await comesThrough(node, 'redis_out_of_memory', {
      harm: () => redisIs('CONFIG', 'SET', 'maxmemory', 1),
      heal: () => redisIs('CONFIG', 'SET', 'maxmemory', 0),
    });
  }, 60_000);

  test('since it has become a replica', async () => {
    await comesThrough(node, 'redis_read_only', {
      harm: () => redisIs('REPLICAOF', '127.0.0.1', 1),
      heal: () => redisIs('REPLICAOF', 'NO', 'ONE'),
    });
  }, 60_000);

  test('of a user who lost a right', async () => {
    await comesThrough(node, 'redis_permission', {
      harm: () => redisIs('ACL', 'SETUSER', 'holdfast', '-@scripting'),
      heal: () => redisIs('ACL', 'SETUSER', 'holdfast', '+@scripting'),
    });
  }, 60_000);
});

/** A file system of 8 MiB of its own; undefined where this user may not mount one. */
function smallDisk(): { path: string; remove(): void } | undefined {
  const path = mkdtempSync(join(tmpdir(), 'holdfast-disk-'));
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=8m', 'tmpfs', path], { stdio: 'ignore' });
  } catch {
    rmSync(path, { recursive: true });
    return undefined;
  }
  return {
    path,
    remove() {
      execFileSync('umount', ['-l', path]);
      rmSync(path, { recursive: true });
    },
  };
}

const disk = smallDisk();
afterAll(() => disk?.remove());

test.skipIf(disk === undefined && process.env['CI'] !== 'true')(
  'an append-only file on a full disk (skipped where none can be mounted)',
  async () => {
    const folder = disk?.path ?? '';
    const redis = await startPrivateRedis({ args: ['--appendonly', 'yes', '--dir', folder] });
    const node = await startGateway({ nodeId: 'n1', redisUrl: redis.url, redisPrefix: 'hf', graceMs: 30_000 });
    const ballast = join(folder, 'ballast');
    try {
      await comesThrough(node, 'redis_not_saving', {
        harm: async () => {
          const { bavail, bsize } = statfsSync(folder);
          writeFileSync(ballast, Buffer.alloc(bavail * bsize));
        },
        heal: async () => rmSync(ballast),
      });
      expect(linesOf(node, 'redis_not_saving')[0]?.['cause']).toContain('No space left on device');
    } finally {
      await node.stop();
      await redis.stop();
    }
  },
  60_000,
);
