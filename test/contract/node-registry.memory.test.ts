import { MemoryNodeRegistry } from '../../src/store/memory/node-registry.js';
import { FakeClock } from '../support/fake-clock.js';
import { nodeRegistryContract } from './node-registry.contract.js';

nodeRegistryContract('memory', async () => {
  const clock = new FakeClock();
  const nodes = new MemoryNodeRegistry({ clock });
  return {
    nodes,
    other: nodes,
    nowMs: () => clock.wallMs(),
    age: async (_node, ms) => clock.advance(ms),
    close: async () => {},
  };
});
