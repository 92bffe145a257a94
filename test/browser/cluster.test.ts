import { expect, it } from 'vitest';
import { describeInChromium } from './cluster-harness.js';

describeInChromium('a page whose node is killed', [], (world) => {
  it('owns its session again on another node, with all that it sent meanwhile', async () => {
    const tab = await world().openOwner();
    const { node, epoch } = tab;
    await tab.talk();
    await node.kill();
    await tab.untilOwnerAgain();
    expect(tab.node).not.toBe(node);
    expect(tab.epoch).toBeGreaterThan(epoch);
    expect(tab.longestAbsenceMs).toBeLessThan(3_000);
    expect(await tab.hush()).toBeGreaterThan(0);
  });
});
