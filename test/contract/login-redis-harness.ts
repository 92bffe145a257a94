import { setTimeout as sleep } from 'node:timers/promises';
import { RedisControlLog } from '../../src/store/redis/control-log.js';
import { RedisLoginStore } from '../../src/store/redis/login-store.js';
import { RedisOneTimeStore } from '../../src/store/redis/one-time-store.js';
import { RedisPrincipalMarks } from '../../src/store/redis/principal-marks.js';
import { type MakeLoginHarness, TEST_LOGIN_TIMINGS } from './login-harness.js';
import { connectTwo } from './redis-harness.js';

const TIMES = [
  'created_at',
  'last_seen_at',
  'expires_at',
  'max_expires_at',
  'ended_at',
  'first_used_at',
  'rotated_at',
  'previous2_until',
];

/** Over the Redis that `url` gives, with a key prefix of its own. */
export const redisLoginHarness =
  (url: () => string): MakeLoginHarness =>
  async (overrides) => {
    const timings = { ...TEST_LOGIN_TIMINGS, ...overrides };
    const { first, second, close } = await connectTwo(url());
    return {
      store: new RedisLoginStore(first, timings),
      other: new RedisLoginStore(second, timings),
      control: new RedisControlLog(first),
      oneTime: new RedisOneTimeStore(first),
      otherOneTime: new RedisOneTimeStore(second),
      marks: new RedisPrincipalMarks(second),
      timings,
      // The server's clock cannot be moved, so the record's times are.
      age: async (handle, ms) => {
        const key = first.keys.login(handle);
        const stored = await first.commands.hgetall(key);
        for (const name of TIMES) {
          if (Number(stored[name] ?? 0) !== 0) await first.commands.hincrby(key, name, -ms);
        }
        const left = await first.commands.pttl(key);
        if (left > 0) await first.commands.pexpire(key, Math.max(0, left - ms));
      },
      wait: async (ms) => {
        await sleep(ms + 1);
      },
      close,
    };
  };
