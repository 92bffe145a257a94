import { testRedis } from '../support/redis.js';
import { redisLoginHarness } from './login-redis-harness.js';
import { loginStoreContract } from './login-store.contract.js';

loginStoreContract(
  'Redis',
  redisLoginHarness(() => testRedis().url),
);
