import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { newSession } from '../cluster/use-cluster.js';
import { describeInChromium } from './cluster-harness.js';
import type { Probe } from './cluster-probe.js';

const LONG = { timeout: 60_000 };
const RELOADS = 20;
const STEADY_MS = 5_000;

/** The names of the reconnect tokens that a tab keeps for its next page. */
const keptIn = (tab: Probe): Promise<string[]> =>
  tab.page.evaluate("Object.keys(sessionStorage).filter((key) => key.includes('/v1/connect:'))");
const isRefused = (call: string): boolean => / 4\d\d$/.test(call);

describeInChromium('the tabs of a person', [], (world) => {
  it('need one upstream call a load and no login, reloading at once and in quick succession', LONG, async () => {
    const { provider, calls } = world();
    const session = newSession();
    const first = await world().open(await world().address(session, { upstream: '1' }));
    await first.until('owner');
    await expect.poll(() => first.all('upstream').length).toBe(2);
    expect(provider.requests.length).toBe(1);
    const second = await world().open(first.page.url());
    await second.until('watching');
    const tabs = [first, second];

    const begun = provider.requests.length;
    const loads = () => tabs.flatMap((tab) => tab.all('shown')).length;
    const before = loads();
    for (let reload = 0; reload < RELOADS; reload += 1) {
      await Promise.all(tabs.map((tab) => tab.page.reload({ waitUntil: 'domcontentloaded' })));
    }
    for (const tab of tabs) {
      const sinceLoad = (type: string) => (tab.last(type)?.atMs ?? 0) - (tab.last('shown')?.atMs ?? 0);
      await expect.poll(() => sinceLoad('upstream'), { timeout: 10_000 }).toBeGreaterThan(0);
    }
    await first.until('owner');
    await second.until('watching');
    const requests = provider.requests.length - begun;
    console.log(`${loads() - before} loads (of ${2 * RELOADS}), ${requests} upstream calls`);
    expect(requests).toBeGreaterThan(0);
    expect(requests).toBeLessThanOrEqual(2 * RELOADS);
    expect(provider.mostInFlight).toBe(1);
    expect(calls.filter(isRefused)).toEqual([]);
  });

  it('one that was duplicated: one is the owner, and stays it', LONG, async () => {
    const original = await world().openOwner();
    const opened = world().context.waitForEvent('page');
    // A tab that a page opens begins with a copy of its storage, as one that a person duplicates.
    await original.page.evaluate('void open(location.href)');
    const copy = world().probe(await opened);
    await copy.until('watching');
    const [states, epoch] = [original.all('state').length, original.epoch];
    await sleep(STEADY_MS);
    expect(original.statesSince(states)).toEqual([]);
    expect(copy.statesSince(0)).toEqual(['connecting', 'watching']);
    expect(copy.epoch).toBe(epoch);
    // Each keeps what it has over a reload of both.
    await Promise.all([original.page.reload(), copy.page.reload()]);
    await original.until('owner');
    await copy.until('watching');
  });

  it('stop and forget their tokens when one logs out', LONG, async () => {
    const mine = await world().openOwner();
    const [other, third] = [await world().openAlso(), await world().openAlso()];
    // A page that is left keeps its token.
    await third.page.goto(`${world().origin}/empty.html`);
    expect(await keptIn(third)).toHaveLength(1);
    await third.page.goBack({ waitUntil: 'commit' });
    await third.untilOwnerAgain();

    world().excuse(({ type }) => type === 'login-ended');
    await mine.page.evaluate('probe.login.logout()');
    for (const tab of [mine, other, third]) {
      await tab.until('stopped');
      expect(tab.last('login-ended')).toMatchObject({ reason: 'logout' });
      expect(tab.last('connection')).toMatchObject({ name: 'stopped' });
      await tab.page.goto(`${world().origin}/empty.html`);
      expect(await keptIn(tab)).toEqual([]);
    }
  });
});
