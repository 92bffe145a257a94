import { setImmediate as nextTurn } from 'node:timers/promises';
import { MemoryBus } from '../../src/store/memory/bus.js';
import { MemoryLock } from '../../src/store/memory/lock.js';
import { MemoryMessageStore } from '../../src/store/memory/message-store.js';
import { MemoryOwnershipStore } from '../../src/store/memory/ownership-store.js';
import { FakeClock } from '../support/fake-clock.js';
import { type MakeHarness, TEST_TIMINGS } from './harness.js';

export const memoryHarness: MakeHarness = async (overrides) => {
  const timings = { ...TEST_TIMINGS, ...overrides };
  const clock = new FakeClock();
  const bus = new MemoryBus();
  const lock = new MemoryLock();
  const streams = new MemoryMessageStore({ clock, bus, records: (sessionId) => store.owner(sessionId) });
  const store: MemoryOwnershipStore = new MemoryOwnershipStore({ clock, timings, bus, lock, streams });
  return {
    store,
    other: store,
    bus,
    lock,
    timings,
    wait: async (ms) => {
      clock.advance(ms);
      await nextTurn();
    },
    close: () => bus.close(),
  };
};
