import { expect, test } from 'vitest';
import { MemoryBus } from '../../src/store/memory/bus.js';
import { MemoryLock } from '../../src/store/memory/lock.js';
import { MemoryLoginStore } from '../../src/store/memory/login-store.js';
import { MemoryMessageStore } from '../../src/store/memory/message-store.js';
import { MemoryOutbox } from '../../src/store/memory/outbox.js';
import { MemoryOwnershipStore } from '../../src/store/memory/ownership-store.js';
import { FakeClock } from '../support/fake-clock.js';
import { TEST_TIMINGS } from './harness.js';
import { TEST_LOGIN_TIMINGS } from './login-harness.js';
import { outboxContract } from './outbox.contract.js';

outboxContract('memory', async ({ sessionIdleMs = 0 } = {}) => {
  const clock = new FakeClock();
  const bus = new MemoryBus();
  const lock = new MemoryLock();
  const outbox = new MemoryOutbox({ clock, sessionIdleMs });
  const streams = new MemoryMessageStore({ clock, bus, records: (sessionId) => store.owner(sessionId) });
  const store: MemoryOwnershipStore = new MemoryOwnershipStore({
    clock,
    timings: TEST_TIMINGS,
    bus,
    lock,
    streams,
    outbox: outbox.sessions,
  });
  return {
    outbox,
    other: outbox,
    store,
    logins: new MemoryLoginStore({ clock, timings: { ...TEST_LOGIN_TIMINGS, reuseIntervalMs: 0 }, outbox }),
    publish: async (sessionId) => outbox.published(sessionId),
    wait: async (ms) => clock.advance(ms),
    close: () => bus.close(),
  };
});

test('a full memory keeps the newest', async () => {
  const outbox = new MemoryOutbox({ clock: new FakeClock(), sessionIdleMs: 0 });
  for (let n = 1; n <= 10_100; n += 1) outbox.revoked(`login-${n}`, 'alice', 'revoked');
  expect(await outbox.backlog()).toMatchObject({ waiting: 10_000 });
  await outbox.acquire(0, 'first', 1_000);
  const [oldest] = await outbox.read(0, 'first', 1, true);
  expect(oldest?.subject).toBe('login-101');
});
