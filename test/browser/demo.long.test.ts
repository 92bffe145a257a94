import { expect, it } from 'vitest';
import { replyTo } from '../../src/web/reply.js';
import { describeDemo, FREE, GRACE_MS, HELD, LONG, OWNER, WATCHER } from './demo-page.js';

describeDemo('the page in Chromium when connections break', (demo) => {
  it('a closed tab leaves the session held, then free, and nobody could claim meanwhile', async () => {
    const first = await demo().open();
    await first.shows(OWNER);
    const second = await demo().open();
    await second.shows(WATCHER);
    await first.page.close();
    await second.shows(HELD);
    expect(await second.page.getByRole('button', { name: 'Claim' }).isDisabled()).toBe(true);
    expect(await second.page.getByRole('timer').textContent()).toMatch(/^[012]\.\d s$/);
    await second.shows(FREE, GRACE_MS + 5_000);
    await second.press('Claim');
    await second.shows(OWNER);
  });

  it('staying away longer than the grace period loses the session', async () => {
    const first = await demo().open();
    await first.shows(OWNER);
    await first.press('Stay away');
    await first.shows('You are away');
    const second = await demo().open();
    await second.shows(HELD);
    await second.shows(FREE, GRACE_MS + 5_000);
    await second.press('Claim');
    await second.shows(OWNER);
    await first.press('Come back');
    await first.shows(WATCHER);
  });

  it('a half-open connection is noticed, and the session taken back while the old one still looks alive', async () => {
    const first = await demo().open();
    await first.shows(OWNER);
    const second = await demo().open();
    await second.shows(WATCHER);
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
    const first = await demo().open();
    await first.shows(OWNER);
    const second = await demo().open();
    await second.shows(WATCHER);
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
    const first = await demo().open();
    await first.shows(OWNER);
    const second = await demo().open();
    await second.shows(WATCHER);
    await first.ask('Drop');
    await second.press('Drop my connection');
    await first.press('Drop my connection');
    for (const tab of [first, second]) {
      await expect.poll(() => tab.textOf('#transcript li[data-state="done"] .reply'), LONG).toBe(words.join(''));
    }
  });
});
