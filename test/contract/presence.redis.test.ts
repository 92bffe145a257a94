import { testRedis } from '../support/redis.js';
import { presenceContract } from './presence.contract.js';
import { redisPresenceHarness } from './presence-redis-harness.js';

presenceContract(
  'Redis',
  redisPresenceHarness(() => testRedis().url),
);
