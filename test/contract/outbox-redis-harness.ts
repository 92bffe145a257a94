import { setTimeout as sleep } from 'node:timers/promises';
import { RedisLoginStore } from '../../src/store/redis/login-store.js';
import { RedisMessageStore } from '../../src/store/redis/message-store.js';
import { RedisOutbox } from '../../src/store/redis/outbox.js';
import type { OutboxSettings } from '../../src/store/redis/outbox-settings.js';
import { RedisOwnershipStore } from '../../src/store/redis/ownership-store.js';
import { messageItem } from '../support/message-item.js';
import { quietStore } from '../support/silent.js';
import { LONG_MS, TEST_TIMINGS } from './harness.js';
import { TEST_LOGIN_TIMINGS } from './login-harness.js';
import { connectTwo } from './redis-harness.js';

/** Over the Redis of `url`, with a key prefix of its own. */
export async function redisOutbox(url: string, settings: OutboxSettings | undefined) {
  const { first, second, close } = await connectTwo(url);
  const messages = new RedisMessageStore(first, quietStore, settings);
  let sequence = 0;
  return {
    connection: first,
    outbox: new RedisOutbox(first),
    other: new RedisOutbox(second),
    store: new RedisOwnershipStore(first, TEST_TIMINGS, quietStore, settings),
    logins: new RedisLoginStore(first, { ...TEST_LOGIN_TIMINGS, reuseIntervalMs: 0 }, settings),
    publish: async (sessionId: string) => {
      sequence += 1;
      const retention = { maxCount: 10, maxBytes: 1_000, maxAgeMs: LONG_MS, whenFull: 'drop_oldest' } as const;
      const items = [messageItem(',"data":1}')];
      await messages.append({ sessionId, writerId: 'writer', sequence, retention, items });
    },
    wait: (ms: number) => sleep(ms + 1),
    close,
  };
}
