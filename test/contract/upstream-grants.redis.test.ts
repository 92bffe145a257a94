import { setTimeout as sleep } from 'node:timers/promises';
import { RedisLoginStore } from '../../src/store/redis/login-store.js';
import { RedisUpstreamGrants } from '../../src/store/redis/upstream-grants.js';
import { createLogin } from '../support/create-login.js';
import { testRedis } from '../support/redis.js';
import { connectTwo } from './redis-harness.js';
import { upstreamGrantsContract } from './upstream-grants.contract.js';

upstreamGrantsContract('Redis', async () => {
  const timings = { reuseIntervalMs: 30_000, retentionMs: 60_000, maxAuditEvents: 100_000, maxLoginsPerPrincipal: 100 };
  const { first, second, close } = await connectTwo(testRedis().url);
  const logins = new RedisLoginStore(first, timings);
  return {
    grants: new RedisUpstreamGrants(first, timings),
    other: new RedisUpstreamGrants(second, timings),
    login: (maxMs) => createLogin(logins, maxMs),
    endLogin: async (handle) => {
      await logins.end(handle, 'logout');
    },
    events: (handle) => logins.events(handle),
    wait: (ms) => sleep(ms),
    close,
  };
});
