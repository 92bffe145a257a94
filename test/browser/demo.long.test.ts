import { expect, it } from 'vitest';
import { replyTo } from '../../src/web/reply.js';
import { DevGateway } from '../support/dev-gateway.js';
import { describeDemo, FREE, GRACE_MS, HELD, LONG, OWNER, Tab, WATCHER } from './demo-page.js';

describeDemo('the page in Chromium, at length', (demo) => {
  it('a closed tab leaves the session held, then free, and nobody could claim meanwhile', async () => {
    const [first, second] = await demo().openTwo();
    await first.page.close();
    await second.shows(HELD);
    expect(await second.page.getByRole('button', { name: 'Claim' }).isDisabled()).toBe(true);
    expect(await second.page.getByRole('timer').textContent()).toMatch(/^[012]\.\d s$/);
    await second.shows(FREE, GRACE_MS + 5_000);
    await second.press('Claim');
    await second.shows(OWNER);
  });

  it('staying away longer than the grace period loses the session', async () => {
    const [first, second] = await demo().openTwo();
    await first.press('Stay away');
    await first.shows('You are away');
    await second.shows(HELD);
    await second.shows(FREE, GRACE_MS + 5_000);
    await second.press('Claim');
    await second.shows(OWNER);
    await first.press('Come back');
    await first.shows(WATCHER);
  });

  it('a half-open connection is noticed, and the session taken back while the old one still looks alive', async () => {
    const [first] = await demo().openTwo();
    const epoch = await first.epoch();
    // Open sockets fall silent without being closed.
    await demo().context.setOffline(true);
    await first.page.evaluate(`document.dispatchEvent(new Event('visibilitychange'))`);
    await first.shows('Reconnecting');
    await demo().context.setOffline(false);
    await first.shows(OWNER);
    expect(await first.epoch()).toBeGreaterThan(epoch);
    // Chromium reports each attempt that found no network.
    for (const tab of demo().tabs) tab.complaints.length = 0;
  });

  it('who takes the session over in the middle of an answer goes on with it at the next word', async () => {
    const words = replyTo('Go on');
    const [first, second] = await demo().openTwo();
    await first.ask('Go on');
    await second.hears(40);
    await second.press('Take over');
    await second.shows(OWNER);
    for (const tab of [first, second]) {
      await expect.poll(() => tab.textOf('#transcript li[data-state="done"] .reply'), LONG).toBe(words.join(''));
      expect(await tab.textOf('#transcript .offsets')).toBe(`Offsets 1–${1 + 2 + words.length + 1}`);
    }
    await first.shows(WATCHER);
  });

  it('a dropped connection in the middle of an answer costs no word', async () => {
    const words = replyTo('Drop');
    const [first, second] = await demo().openTwo();
    await first.ask('Drop');
    await second.press('Drop my connection');
    await first.press('Drop my connection');
    for (const tab of [first, second]) {
      await expect.poll(() => tab.textOf('#transcript li[data-state="done"] .reply'), LONG).toBe(words.join(''));
    }
  });

  it('ten seconds without a network in the middle of an answer cost no word, and are told honestly', async () => {
    const words = replyTo('Offline');
    const [first, second] = await demo().openTwo();
    await first.ask('Offline');
    await first.press('Go offline 10 s');
    await first.shows('You are offline');
    // What was on its way when the network went still arrives.
    await second.page.waitForTimeout(500);
    const heard = await second.reply();
    expect(heard).not.toBe(words.join(''));
    await second.page.waitForTimeout(5_000);
    expect(await second.reply()).toBe(heard);
    expect(await first.textOf('#headline')).toBe('You are offline');
    await first.shows(OWNER, 15_000);
    expect(await first.log()).toContain('The network is back');
    for (const tab of [first, second]) {
      await expect.poll(() => tab.textOf('#transcript li[data-state="done"] .reply'), LONG).toBe(words.join(''));
    }
  }, 40_000);

  it('who goes offline finds out afterwards that the session was taken over', async () => {
    const [first, second] = await demo().openTwo();
    await first.press('Go offline 10 s');
    await second.press('Take over');
    await second.shows(OWNER);
    expect(await first.textOf('#headline')).toBe('You are offline');
    expect(await first.textOf('#owner')).toBe('This tab');
    await first.shows(WATCHER, 15_000);
    expect(await first.textOf('#owner')).not.toBe('This tab');
    await second.shows(OWNER);
  }, 40_000);

  it('a frozen page goes on where it was', async () => {
    const words = replyTo('Freeze');
    const [first, second] = await demo().openTwo();
    await first.ask('Freeze');
    const frozen = first.page.waitForEvent('dialog');
    const pressed = first.press('Freeze');
    const dialog = await frozen;
    await second.page.waitForTimeout(500);
    const heard = await second.reply();
    await second.page.waitForTimeout(GRACE_MS + 1_000);
    expect(await second.reply()).toBe(heard);
    await dialog.accept();
    await pressed;
    await first.shows(OWNER);
    expect(await first.log()).toMatch(/The page was frozen for \d s/);
    for (const tab of [first, second]) {
      await expect.poll(() => tab.textOf('#transcript li[data-state="done"] .reply'), LONG).toBe(words.join(''));
    }
  }, 40_000);

  it('a release in the middle of an answer is no problem: the next owner goes on', async () => {
    const first = await demo().open();
    await first.shows(OWNER);
    await first.ask('Go on');
    await first.hears(20);
    await first.press('Release');
    await first.shows(FREE);
    await first.press('Claim');
    await first.shows(OWNER);
    await first.hears(60);
    expect(await first.log()).not.toContain('Problem');
  });

  it('an expired access token costs a refresh and the connection, not the session', async () => {
    const first = await demo().open();
    await first.logIn('alice');
    await first.shows(OWNER);
    const [epoch, connection] = [await first.epoch(), await first.connection()];
    const refreshed = first.page.waitForResponse((response) => response.url().endsWith('/v1/auth/refresh'));
    await first.press('Expire my access token');
    expect((await refreshed).status()).toBe(200);
    await expect.poll(() => first.epoch()).toBeGreaterThan(epoch);
    await first.shows(OWNER);
    expect(await first.connection()).not.toBe(connection);
    expect(await first.log()).toContain('the access token has expired, code 4201');
    expect(await first.textOf('#access-ends')).toMatch(/^in (5 min|4 min \d+ s)$/);
    expect(await first.textOf('#login-ends')).toMatch(/^in 1\d days$/);
  });

  it('a login that another device ends is over in every tab', async () => {
    const first = await demo().open();
    await first.logIn('bob');
    await first.shows(OWNER);
    const second = await demo().open();
    await second.shows(WATCHER);
    await first.press('Log out elsewhere');
    for (const tab of [first, second]) {
      await tab.shows('Not subscribed');
      expect(await tab.textOf('#detail')).toBe('Your login has ended. Log in again.');
      await expect.poll(() => tab.page.textContent('#login-label')).toBe('Logged out');
      expect(await tab.log()).toContain('the login was revoked, code 4001');
      expect(await tab.textOf('#login-ends')).toBe('–');
      // Chromium reports the answer 401 by which the page learns that the login is over.
      tab.complaints.length = 0;
    }
  });

  it('a release moves the ownership to who claims', async () => {
    const [first, second] = await demo().openTwo();
    await first.press('Release');
    await first.shows(FREE);
    await second.shows(FREE);
    await second.press('Claim');
    await second.shows(OWNER);
    await first.shows(WATCHER);
    expect(await second.epoch()).toBe(await first.epoch());
  });

  it('force takes the session from its owner', async () => {
    const [first, second] = await demo().openTwo();
    await second.press('Take over');
    await second.shows(OWNER);
    await first.shows(WATCHER);
    await expect.poll(() => first.log()).toContain('taken over by force');
    expect(await first.log()).toContain('You are no longer the owner');
    expect(await second.log()).not.toContain('You are no longer the owner');
  });

  it('an unsubscription frees the session at once, and one may come back', async () => {
    const [first, second] = await demo().openTwo();
    await first.press('Unsubscribe');
    await first.shows('Not subscribed');
    await second.shows(FREE);
    await first.press('Subscribe');
    await first.shows(OWNER);
  });

  it('offers a second tab of the same session, and fits a small phone', async () => {
    const first = await demo().open();
    await first.shows(OWNER);
    const [page] = await Promise.all([
      demo().context.waitForEvent('page'),
      first.page.getByRole('link', { name: 'Open a second tab' }).click(),
    ]);
    const second = new Tab(page);
    demo().tabs.push(second);
    await second.shows(WATCHER);
    await page.setViewportSize({ width: 320, height: 640 });
    expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(320);
  });

  it('offers only what there is to break', async () => {
    const first = await demo().open();
    await first.shows(OWNER);
    for (const name of ['Expire my access token', 'Log out elsewhere']) {
      const button = first.page.getByRole('button', { name });
      expect(await button.isDisabled()).toBe(true);
      expect(await button.getAttribute('title')).toContain('Log in first');
    }
    expect(await first.page.getByRole('button', { name: 'Drop my connection' }).isEnabled()).toBe(true);
    expect(await first.page.locator('#kill').isVisible()).toBe(false);
  });
});

// On a busy machine no page lives long enough to take its session back within a short one.
const LONG_GRACE_MS = 10_000;

describeDemo(
  'the page in Chromium, with a grace period that outlasts many reloads',
  (demo) => {
    it('30 reloads in quick succession, many of them before an answer has come, keep the session', async () => {
      const first = await demo().open();
      await first.shows(OWNER);
      const watcher = await demo().open();
      await watcher.shows(WATCHER);
      for (let round = 0; round < 3; round += 1) {
        for (let i = 0; i < 10; i += 1) await first.page.reload({ waitUntil: 'domcontentloaded' });
        await first.shows(OWNER, LONG_GRACE_MS / 2);
      }
      expect(await watcher.log()).not.toContain('grace period over');
    }, 60_000);
  },
  () => DevGateway.start('--grace-ms', String(LONG_GRACE_MS)),
);
