import { expect, it } from 'vitest';
import { describeInChromium } from './cluster-harness.js';

/** A page that is told to come back waits for up to 1.1 s; what is left is connecting. */
const SHORT_MS = 3_000;

describeInChromium('a page whose nodes go', [], (world) => {
  it('keeps its session over a kill -9 of one node after the other', { timeout: 60_000 }, async () => {
    const tab = await world().openOwner();
    await tab.talk();
    for (let kills = 0; kills < 3; kills += 1) {
      const { node, epoch } = tab;
      await node.kill();
      await tab.untilOwnerAgain();
      expect(tab.node).not.toBe(node);
      expect(tab.epoch).toBeGreaterThan(epoch);
      await node.start();
    }
    const count = await tab.hush();
    console.log(`3 kills: absent for ${Math.round(tab.longestAbsenceMs)} ms at most, ${count} messages`);
    expect(tab.longestAbsenceMs).toBeLessThan(SHORT_MS);
  });

  it('keeps its session over a rolling restart of all nodes', { timeout: 60_000 }, async () => {
    const tab = await world().openOwner();
    const watcher = await world().open(tab.page.url());
    await watcher.until('watching');
    await tab.talk();
    for (const node of world().cluster.nodes) {
      await node.stop();
      await node.start();
    }
    await tab.until('owner');
    await watcher.until('watching');
    const count = await tab.hush();
    await expect.poll(() => watcher.all('message').length).toBe(count);
    expect(watcher.all('message').map(({ data }) => data)).toEqual(tab.all('message').map(({ data }) => data));
    console.log(`rolling restart: absent for ${Math.round(tab.longestAbsenceMs)} ms at most, ${count} messages`);
    expect(tab.longestAbsenceMs).toBeLessThan(SHORT_MS);
    expect(watcher.all('state').map(({ name }) => name)).not.toContain('owner');
  });
});
