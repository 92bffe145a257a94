import { expect, it } from 'vitest';
import { replyTo } from '../../src/web/reply.js';
import { describeDemo, GRACE_MS, LONG, OWNER, Tab, WATCHER } from './demo-page.js';

describeDemo('the page in Chromium', (demo) => {
  it('the first tab owns, the second one watches', async () => {
    const [first, second] = await demo().openTwo();
    expect(await second.epoch()).toBe(await first.epoch());
    expect(await second.connection()).not.toBe(await first.connection());
    expect(await second.page.getByRole('button', { name: 'Claim' }).isDisabled()).toBe(true);
  });

  it('a dropped connection comes back as the owner, at a higher epoch', async () => {
    const [first, second] = await demo().openTwo();
    const [epoch, connection] = [await first.epoch(), await first.connection()];
    await first.press('Drop my connection');
    await expect.poll(() => first.epoch()).toBeGreaterThan(epoch);
    await first.shows(OWNER);
    expect(await first.connection()).not.toBe(connection);
    await expect.poll(() => second.log()).toContain('taken back with the reconnect token');
    await second.shows(WATCHER);
  });

  it('a reload keeps the session, without a wait', async () => {
    const [first, second] = await demo().openTwo();
    const epoch = await first.epoch();
    await first.page.reload();
    await first.shows(OWNER, GRACE_MS / 2);
    expect(await first.epoch()).toBeGreaterThan(epoch);
    expect(await second.log()).not.toContain('grace period over');
  });

  it('a duplicated tab, which gets a copy of the storage, does not take the session', async () => {
    const first = await demo().open();
    await first.shows(OWNER);
    // The token that now is in use was in the storage.
    await first.page.reload();
    await first.shows(OWNER);
    const epoch = await first.epoch();
    // A window opened without `noopener` starts with a copy of its opener's session storage, as a duplicated tab does.
    const [page] = await Promise.all([
      first.page.waitForEvent('popup'),
      first.page.evaluate('void open(location.href)'),
    ]);
    const copy = new Tab(page);
    demo().tabs.push(copy);
    await copy.shows(WATCHER);
    await first.shows(OWNER);
    expect(await first.epoch()).toBe(epoch);
  });

  it('an answer is complete and said once in every tab, though both are reloaded in the middle of it', async () => {
    const prompt = 'How does this hold?';
    const words = replyTo(prompt);
    const [first, second] = await demo().openTwo();
    await first.ask(prompt);
    await second.hears(40);
    await second.page.reload();
    await second.hears(80);
    await first.page.reload();
    await first.shows(OWNER);
    await first.hears(160);
    expect(await first.reply()).not.toBe(words.join(''));
    for (const tab of [first, second]) {
      await expect.poll(() => tab.textOf('#transcript li[data-state="done"] .reply'), LONG).toBe(words.join(''));
      // The prompt, the agent before and after the reload, each word once, the end.
      const last = 1 + 2 + words.length + 1;
      expect(await tab.textOf('#transcript .offsets')).toBe(`Offsets 1–${last}`);
      expect(await tab.textOf('#position')).toBe(String(last));
      expect(await tab.page.locator('#transcript li').count()).toBe(1);
    }
  });

  it('a watcher may stop the agent, and only the owner may speak', async () => {
    const [first, second] = await demo().openTwo();
    expect(await second.page.getByLabel('Prompt for the agent').isDisabled()).toBe(true);
    await first.ask('Stop');
    await second.press('Stop the agent');
    for (const tab of [first, second]) {
      await expect.poll(() => tab.textOf('#transcript .offsets')).toContain('stopped');
    }
    expect((await first.reply()).length).toBeLessThan(replyTo('Stop').join('').length);
  });
});
