import { setImmediate as nextTurn } from 'node:timers/promises';
import { MemoryBus } from '../../src/store/memory/bus.js';
import { MemoryPresenceStore } from '../../src/store/memory/presence-store.js';
import { FakeClock } from '../support/fake-clock.js';
import { presenceContract } from './presence.contract.js';

presenceContract('memory', async (timings) => {
  const clock = new FakeClock();
  const bus = new MemoryBus();
  const store = new MemoryPresenceStore({ clock, timings, bus });
  return {
    store,
    other: store,
    bus,
    wait: async (ms) => {
      clock.advance(ms);
      await nextTurn();
    },
    close: () => bus.close(),
  };
});
