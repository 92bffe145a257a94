import { MemoryBus } from '../../src/store/memory/bus.js';
import { MemoryLock } from '../../src/store/memory/lock.js';
import { busContract } from './bus.contract.js';
import { lockContract } from './lock.contract.js';
import { memoryHarness } from './memory-harness.js';
import { ownershipStoreContract } from './ownership-store.contract.js';

ownershipStoreContract('memory', memoryHarness);

busContract('memory', async () => {
  const bus = new MemoryBus();
  return { bus, other: bus, close: () => bus.close() };
});

lockContract('memory', async () => {
  const lock = new MemoryLock();
  return { lock, other: lock, ttlMs: 50, close: async () => {} };
});
