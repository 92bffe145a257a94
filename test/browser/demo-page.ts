import { type Browser, type BrowserContext, type Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, expect } from 'vitest';
import { launchChromium } from '../support/chromium.js';
import { describeWithChromium } from '../support/chromium-suite.js';
import { DevGateway } from '../support/dev-gateway.js';

export const GRACE_MS = 2_000;

/** One tab of the page, read the way a person reads it. */
export class Tab {
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

  async logIn(name: string): Promise<void> {
    await this.page.getByPlaceholder('A name').fill(name);
    await this.press('Log in');
    await expect.poll(() => this.page.textContent('#login-label'), LONG).toBe(`Logged in as ${name}`);
  }

  async log(): Promise<string> {
    return (await this.page.textContent('#log')) ?? '';
  }
}

export const OWNER = 'You own this session';
export const WATCHER = 'You are watching';
export const HELD = 'Held for its owner';
export const FREE = 'Nobody owns it';
export const LONG = { timeout: 15_000 };

/** What a test of the page has: a context of its own, with the tabs that it opens. */
export interface Demo {
  context: BrowserContext;
  tabs: Tab[];
  open(url?: string): Promise<Tab>;
  /** An owner, and then a watcher. */
  openTwo(): Promise<[Tab, Tab]>;
}

/** Whatever serves the page. */
export interface PageHost {
  /** With a slash at its end. */
  readonly url: string;
  stop(): Promise<void>;
}

const startDev = () => DevGateway.start('--grace-ms', String(GRACE_MS));

/** Tests against one gateway and one browser. A test whose pages complain fails. */
export function describeDemo(
  name: string,
  tests: (demo: () => Demo) => void,
  start: () => Promise<PageHost> = startDev,
): void {
  describeWithChromium(name, () => {
    let gateway: PageHost;
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
      gateway = await start();
      browser = await launchChromium();
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

    const openTwo = async (): Promise<[Tab, Tab]> => {
      const first = await open();
      await first.shows(OWNER);
      const second = await open();
      await second.shows(WATCHER);
      return [first, second];
    };

    tests(() => ({ context, tabs, open, openTwo }));
  });
}
