import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { describeInChromium, shortSession, type World } from './cluster-harness.js';
import { POLL, type Probe, type Told } from './cluster-probe.js';

/** Every token of a login is over after this, and so is the grace period of a short session. */
const ASLEEP_MS = 8_000;
const LIFETIMES = [
  ['--access-token-ttl-ms', '2000', '--renewal-margin-ms', '1000', '--ticket-ttl-ms', '1000'],
  ['--reuse-interval-ms', '300', '--ping-interval-ms', '1000', '--pong-timeout-ms', '900'],
].flat();
const LONG = { timeout: 60_000 };
/** How long a page may take that finds its socket, its ticket and its access token dead. */
const BACK_MS = 5_000;
/** A page that pings every second waits for the answer for so long when it has reason to doubt. */
const LOOK_MS = 5_500;
/** A timer of the page that runs every 100 ms may run so often while it is being put to sleep. */
const FEW_TICKS = 10;

const isState = ({ type }: Told): boolean => type === 'state';
const ticksOf = (tab: Probe): Promise<number> => tab.page.evaluate('probe.ticks()');

async function freeze(tab: Probe): Promise<() => Promise<void>> {
  const cdp = await tab.page.context().newCDPSession(tab.page);
  await cdp.send('Page.setWebLifecycleState', { state: 'frozen' });
  return async () => {
    await cdp.send('Page.setWebLifecycleState', { state: 'active' });
    await tab.page.bringToFront();
  };
}

/** Stops processes of the browser: those of the pages alone, or also what speaks to the network for them. */
async function stop(world: World, types: readonly string[]): Promise<() => Promise<void>> {
  const cdp = await world.browser.newBrowserCDPSession();
  const { processInfo } = await cdp.send('SystemInfo.getProcessInfo');
  const pids = processInfo.filter(({ type }) => types.some((it) => type.startsWith(it))).map(({ id }) => id);
  expect(pids.length).toBeGreaterThan(0);
  for (const pid of pids) process.kill(pid, 'SIGSTOP');
  return async () => {
    for (const pid of pids) process.kill(pid, 'SIGCONT');
  };
}

describeInChromium('a page that', LIFETIMES, (world) => {
  /** Sleeps, and is the owner again by itself, with all that it sent before and after. */
  async function survives(what: string, tab: Probe, fallAsleep: () => Promise<() => Promise<void>>): Promise<void> {
    await tab.talk(100);
    await sleep(300);
    const before = await ticksOf(tab);
    const wake = await fallAsleep();
    await sleep(ASLEEP_MS);
    const epoch = tab.epoch;
    await wake();
    const awakeMs = performance.now();
    expect((await ticksOf(tab)) - before).toBeLessThan(FEW_TICKS);
    await expect.poll(() => tab.state === 'owner' && tab.epoch > epoch, POLL).toBe(true);
    const backMs = Math.round(performance.now() - awakeMs);
    console.log(`${what} for ${ASLEEP_MS} ms: owner again after ${backMs} ms`);
    expect(backMs).toBeLessThan(BACK_MS);
    await tab.hush();
  }

  it('is frozen, hidden in the background, for longer than its tokens last', LONG, async () => {
    await world().withoutEmulation(async (person) => {
      const tab = await person.openOwner(shortSession());
      await survives('frozen', tab, () => freeze(tab));
    });
  });

  it.each([
    ['is stopped', ['renderer']],
    ['sleeps with its machine', ['renderer', 'network', 'storage', 'GPU', 'browser']],
  ])('%s for longer than its tokens last', LONG, async (what, processes) => {
    const tab = await world().openOwner(shortSession());
    await survives(what, tab, () => stop(world(), processes));
  });

  it('finds the clock far ahead looks at its connection at once', LONG, async () => {
    const tab = await world().openOwner();
    world().network.pause();
    await tab.page.evaluate('probe.jumpClock(600_000)');
    await tab.until('reconnecting', LOOK_MS);
    world().network.resume();
    await tab.until('owner');
  });

  it('is left and come back to, whether the browser kept it or not', LONG, async () => {
    const tab = await world().openOwner();
    const { page, told } = tab;
    const url = page.url();
    const elsewhere = () => page.goto(`${world().origin}/empty.html`);
    const back = () => page.goBack({ waitUntil: 'commit' });
    // The last is a page of the same session, which leaves the one that the browser kept with a token of the past.
    for (const journey of [
      [elsewhere, back],
      [elsewhere, () => page.goto(url)],
      [() => page.goto(`${url}&again`), back],
    ]) {
      for (const step of journey) {
        const before = told.length;
        await step();
        if (!page.url().startsWith(url)) continue;
        await expect.poll(() => told.slice(before).findLast(isState)?.['name'], POLL).toBe('owner');
      }
    }
    const kept = tab.all('shown').filter(({ persisted }) => persisted === true).length;
    console.log(`the browser kept the page ${kept} of 2 times`);
  });
});
