import { setImmediate as nextTurn } from 'node:timers/promises';
import { MemoryBus } from '../../src/store/memory/bus.js';
import { MemoryLock } from '../../src/store/memory/lock.js';
import { MemoryMessageStore } from '../../src/store/memory/message-store.js';
import { MemoryOwnershipStore } from '../../src/store/memory/ownership-store.js';
import { FakeClock } from '../support/fake-clock.js';
import { TEST_TIMINGS } from './harness.js';
import type { MakeMessageHarness } from './message-harness.js';

export const memoryMessageHarness: MakeMessageHarness = async (timings) => {
  const clock = new FakeClock();
  const bus = new MemoryBus();
  const lock = new MemoryLock();
  let run = 1;
  const store = new MemoryMessageStore({
    clock,
    bus,
    records: (sessionId) => ownership.owner(sessionId),
    runId: () => `run-${run}`,
  });
  const ownership: MemoryOwnershipStore = new MemoryOwnershipStore({
    clock,
    timings: { ...TEST_TIMINGS, ...timings },
    bus,
    lock,
    streams: store,
  });
  return {
    store,
    other: store,
    ownership,
    bus,
    lock,
    wait: async (ms) => {
      clock.advance(ms);
      await nextTurn();
    },
    restart: () => {
      run += 1;
    },
    close: () => bus.close(),
  };
};
