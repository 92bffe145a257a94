import { testRedis } from '../support/redis.js';
import { redisMessageHarness } from './message-redis-harness.js';
import { messageStoreContract } from './messages.contract.js';

messageStoreContract(
  'Redis',
  redisMessageHarness(() => testRedis().url),
);
