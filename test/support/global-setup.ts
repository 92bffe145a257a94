import type { TestProject } from 'vitest/node';
import { ensureRedisServer, REDIS_HELP } from './redis-binary.js';
import { startRedisContainer } from './redis-container.js';
import { startPrivateRedis } from './redis-process.js';

/** Finds one Redis for the whole run: the given one, Docker, a private redis-server, or one installed for it. */
export default async function setup(project: TestProject): Promise<(() => Promise<void>) | undefined> {
  // Also with another Redis at hand: the tests that kill one need the program.
  const hasServer = await ensureRedisServer();
  const given = process.env['HOLDFAST_TEST_REDIS_URL'];
  if (given !== undefined && given !== '') {
    project.provide('redis', { url: given });
    return undefined;
  }
  const redis = (await startRedisContainer()) ?? (hasServer ? await startPrivateRedis() : undefined);
  // Tests that need no Redis run all the same; the others fail with this line.
  project.provide('redis', redis === undefined ? { missing: REDIS_HELP } : { url: redis.url });
  return redis && (() => redis.stop());
}
