import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { inspect } from '../cluster/use-cluster.js';
import { describeInChromium, SHORT_GRACE_MS, shortSession, type World } from './cluster-harness.js';
import { POLL } from './cluster-probe.js';

/** A node finds out within the outage, as it does within the grace period with the usual settings. */
const PINGS = ['--ping-interval-ms', '2000', '--pong-timeout-ms', '1500'];
/** How long a page that comes back online takes to give up a silent socket and make another. */
const BACK_MS = 6_000;

/** What the browser does by itself leaves the node with a connection that answers its pings. */
const outages: [string, number, (world: World) => Promise<void>][] = [
  ['whose frames freeze', 5, ({ context }) => context.setOffline(true)],
  ['whose frames freeze', 20, ({ context }) => context.setOffline(true)],
  ['whose packets vanish', 5, (world) => world.goOffline()],
  ['whose packets vanish', 20, (world) => world.goOffline()],
  ['whose packets vanish unknown to the browser', 15, async ({ network }) => network.pause()],
];

describeInChromium('a page that is offline', PINGS, (world) => {
  it.each(outages)(
    'and %s for %d s owns its session again: nothing is lost or doubled',
    { timeout: 60_000 },
    async (how, seconds, go) => {
      const tab = await world().openOwner();
      await tab.talk(100);
      await sleep(500);
      await go(world());
      await sleep(seconds * 1_000);
      const before = tab.all('sent').length;
      const onlineMs = performance.now();
      await world().goOnline();
      await expect.poll(() => tab.all('sent').length, POLL).toBeGreaterThan(before);
      const backMs = Math.round(performance.now() - onlineMs);
      expect(tab.state).toBe('owner');
      expect(backMs).toBeLessThan(BACK_MS);
      await sleep(500);
      expect(await tab.hush()).toBeGreaterThan(seconds * 8);
      console.log(
        `${how} for ${seconds} s: sends again ${backMs} ms after; absent ${Math.round(tab.longestAbsenceMs)} ms`,
      );
    },
  );

  it('for longer than the grace period is a watcher when another has the session, and says so', async () => {
    const session = shortSession();
    const tab = await world().openOwner(session);
    const states = tab.all('state').length;
    const other = await world().cluster.connect('haproxy');
    await other.subscribe(session);
    await world().goOffline();
    await other.nextOwnership(session, 'free', 10_000 + SHORT_GRACE_MS);
    const { owner_epoch: epoch } = await other.claim(session);
    await world().goOnline();
    await tab.until('watching');
    expect(tab.epoch).toBe(epoch);
    expect(tab.statesSince(states)).toEqual(['reconnecting', 'watching']);
    expect(await inspect(world().cluster.node(0), session)).toMatchObject({ state: 'owned', owner_epoch: epoch });
    expect(await tab.page.evaluate('probe.session.send(1).catch(({ code }) => code)')).toBe('not_owner');
    // Given up by the other, it is the page's again.
    await other.release(session);
    await tab.page.evaluate('probe.session.claim()');
    await tab.until('owner');
  });
});
