import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { replyTo } from '../../src/web/reply.js';
import { CHROMIUM_ARGS, findChromium } from '../support/chromium.js';
import { DevGateway } from '../support/dev-gateway.js';

const GRACE_MS = 2_000;
const executablePath = findChromium();
const isOptional = process.env['CI'] !== 'true';

/** One tab of the page, read the way a person reads it. */
class Tab {
  readonly page: Page;
  /** What the page complained about; must stay empty. */
  readonly complaints: string[] = [];

  constructor(page: Page) {
    this.page = page;
    page.on('pageerror', (error) => this.complaints.push(error.message));
    page.on('console', (message) => {
      if (message.type() === 'error' || message.type() === 'warning') this.complaints.push(message.text());
    });
  }

  async shows(headline: string, timeoutMs = 5_000): Promise<void> {
    await expect.poll(() => this.page.textContent('#headline'), { timeout: timeoutMs }).toBe(headline);
  }

  async epoch(): Promise<number> {
    return Number(await this.page.textContent('#epoch'));
  }

  async connection(): Promise<string | null> {
    return this.page.textContent('#connection');
  }

  async press(name: string): Promise<void> {
    await this.page.bringToFront();
    await this.page.getByRole('button', { name, exact: true }).click();
  }

  /** Asks the agent something. Resolves when the answer has begun. */
  async ask(prompt: string): Promise<void> {
    await this.page.bringToFront();
    await this.page.getByLabel('Prompt for the agent').fill(prompt);
    await this.page.keyboard.press('Enter');
    await this.hears(20);
  }

  /** Resolves when so many characters of the answer are shown. */
  async hears(characters: number): Promise<void> {
    await expect.poll(async () => (await this.reply()).length).toBeGreaterThan(characters);
  }

  async reply(): Promise<string> {
    return this.textOf('#transcript .reply');
  }

  /** Of the first element there is, empty when there is none. */
  async textOf(selector: string): Promise<string> {
    return (await this.page.locator(selector).allTextContents())[0] ?? '';
  }

  async log(): Promise<string> {
    return (await this.page.textContent('#log')) ?? '';
  }
}

const OWNER = 'You own this session';
const WATCHER = 'You are watching';
const HELD = 'Held for its owner';
const FREE = 'Nobody owns it';
const LONG = { timeout: 15_000 };

describe.skipIf(executablePath === undefined && isOptional)('the page in Chromium (needs a chromium on PATH)', () => {
  let gateway: DevGateway;
  let browser: Browser;
  let context: BrowserContext;
  let tabs: Tab[];
  let sessions = 0;

  const open = async (url = `${gateway.url}#demo:${sessions}`): Promise<Tab> => {
    const tab = new Tab(await context.newPage());
    tabs.push(tab);
    await tab.page.goto(url);
    return tab;
  };

  beforeAll(async () => {
    if (executablePath === undefined) throw new Error('no chromium on PATH');
    gateway = await DevGateway.start('--grace-ms', String(GRACE_MS));
    browser = await chromium.launch({ executablePath, args: CHROMIUM_ARGS });
  });

  afterAll(async () => {
    await browser?.close();
    await gateway?.stop();
  });

  beforeEach(async () => {
    sessions++;
    tabs = [];
    context = await browser.newContext();
  });

  afterEach(async () => {
    const complaints = tabs.flatMap((tab) => tab.complaints);
    await context.close();
    expect(complaints).toEqual([]);
  });

  it('the first tab owns, the second one watches', async () => {
    const first = await open();
    await first.shows(OWNER);
    const second = await open();
    await second.shows(WATCHER);
    expect(await second.epoch()).toBe(await first.epoch());
    expect(await second.connection()).not.toBe(await first.connection());
    expect(await second.page.getByRole('button', { name: 'Claim' }).isDisabled()).toBe(true);
  });

  it('a dropped connection comes back as the owner, at a higher epoch', async () => {
    const first = await open();
    await first.shows(OWNER);
    const second = await open();
    await second.shows(WATCHER);
    const [epoch, connection] = [await first.epoch(), await first.connection()];
    await first.press('Drop my connection');
    await expect.poll(() => first.epoch()).toBeGreaterThan(epoch);
    await first.shows(OWNER);
    expect(await first.connection()).not.toBe(connection);
    await expect.poll(() => second.log()).toContain('taken back with the reconnect token');
    await second.shows(WATCHER);
  });

  it('a closed tab leaves the session held, then free, and nobody could claim meanwhile', async () => {
    const first = await open();
    await first.shows(OWNER);
    const second = await open();
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
    const first = await open();
    await first.shows(OWNER);
    await first.press('Stay away');
    await first.shows('You are away');
    const second = await open();
    await second.shows(HELD);
    await second.shows(FREE, GRACE_MS + 5_000);
    await second.press('Claim');
    await second.shows(OWNER);
    await first.press('Come back');
    await first.shows(WATCHER);
  });

  it('a release moves the ownership to who claims', async () => {
    const first = await open();
    await first.shows(OWNER);
    const second = await open();
    await second.shows(WATCHER);
    await first.press('Release');
    await first.shows(FREE);
    await second.shows(FREE);
    await second.press('Claim');
    await second.shows(OWNER);
    await first.shows(WATCHER);
    expect(await second.epoch()).toBe(await first.epoch());
  });

  it('force takes the session from its owner', async () => {
    const first = await open();
    await first.shows(OWNER);
    const second = await open();
    await second.shows(WATCHER);
    await second.press('Take over');
    await second.shows(OWNER);
    await first.shows(WATCHER);
    await expect.poll(() => first.log()).toContain('taken over by force');
  });

  it('an unsubscription frees the session at once, and one may come back', async () => {
    const first = await open();
    await first.shows(OWNER);
    const second = await open();
    await second.shows(WATCHER);
    await first.press('Unsubscribe');
    await first.shows('Not subscribed');
    await second.shows(FREE);
    await first.press('Subscribe');
    await first.shows(OWNER);
  });

  it('a reload keeps the session, without a wait', async () => {
    const first = await open();
    await first.shows(OWNER);
    const second = await open();
    await second.shows(WATCHER);
    const epoch = await first.epoch();
    await first.page.reload();
    await first.shows(OWNER, GRACE_MS / 2);
    expect(await first.epoch()).toBeGreaterThan(epoch);
    expect(await second.log()).not.toContain('grace period over');
  });

  it('a duplicated tab, which gets a copy of the storage, does not take the session', async () => {
    const first = await open();
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
    tabs.push(copy);
    await copy.shows(WATCHER);
    await first.shows(OWNER);
    expect(await first.epoch()).toBe(epoch);
  });

  it('a half-open connection is noticed, and the session taken back while the old one still looks alive', async () => {
    const first = await open();
    await first.shows(OWNER);
    const second = await open();
    await second.shows(WATCHER);
    const epoch = await first.epoch();
    // Open sockets fall silent without being closed.
    await context.setOffline(true);
    await first.page.evaluate(`document.dispatchEvent(new Event('visibilitychange'))`);
    await first.shows('Reconnecting');
    await context.setOffline(false);
    await first.shows(OWNER);
    expect(await first.epoch()).toBeGreaterThan(epoch);
    // Chromium reports each attempt that found no network.
    for (const tab of tabs) tab.complaints.length = 0;
  });

  it('an answer is complete and said once in every tab, though both are reloaded in the middle of it', async () => {
    const prompt = 'How does this hold?';
    const words = replyTo(prompt);
    const first = await open();
    await first.shows(OWNER);
    const second = await open();
    await second.shows(WATCHER);
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

  it('who takes the session over in the middle of an answer goes on with it at the next word', async () => {
    const words = replyTo('Go on');
    const first = await open();
    await first.shows(OWNER);
    const second = await open();
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
    const first = await open();
    await first.shows(OWNER);
    const second = await open();
    await second.shows(WATCHER);
    await first.ask('Drop');
    await second.press('Drop my connection');
    await first.press('Drop my connection');
    for (const tab of [first, second]) {
      await expect.poll(() => tab.textOf('#transcript li[data-state="done"] .reply'), LONG).toBe(words.join(''));
    }
  });

  it('a watcher may stop the agent, and only the owner may speak', async () => {
    const first = await open();
    await first.shows(OWNER);
    const second = await open();
    await second.shows(WATCHER);
    expect(await second.page.getByLabel('Prompt for the agent').isDisabled()).toBe(true);
    await first.ask('Stop');
    await second.press('Stop the agent');
    for (const tab of [first, second]) {
      await expect.poll(() => tab.textOf('#transcript .offsets')).toContain('stopped');
    }
    expect((await first.reply()).length).toBeLessThan(replyTo('Stop').join('').length);
  });

  it('offers a second tab of the same session, and fits a small phone', async () => {
    const first = await open();
    await first.shows(OWNER);
    const [page] = await Promise.all([
      context.waitForEvent('page'),
      first.page.getByRole('link', { name: 'Open a second tab' }).click(),
    ]);
    const second = new Tab(page);
    tabs.push(second);
    await second.shows(WATCHER);
    await page.setViewportSize({ width: 320, height: 640 });
    expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(320);
  });
});
