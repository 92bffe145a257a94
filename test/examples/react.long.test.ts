import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Browser, type BrowserContext, type Page } from 'playwright-core';
import { createServer, type ViteDevServer } from 'vite';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { launchChromium } from '../support/chromium.js';
import { describeWithChromium } from '../support/chromium-suite.js';
import { DevGateway } from '../support/dev-gateway.js';
import { reactExample } from './react-example.js';

describeWithChromium('the example with React', () => {
  let folder: string;
  let gateway: DevGateway;
  let server: ViteDevServer;
  let browser: Browser;
  let context: BrowserContext;
  const complaints: string[] = [];

  beforeAll(async () => {
    gateway = await DevGateway.start();
    folder = await mkdtemp(join(tmpdir(), 'holdfast-react-'));
    // Vite's own server and not what it builds: only there StrictMode mounts everything twice.
    server = await createServer(reactExample(folder, `${gateway.url.replace('http', 'ws')}v1/connect`));
    await server.listen();
    browser = await launchChromium();
    context = await browser.newContext();
  });

  afterAll(async () => {
    await browser?.close();
    await server?.close();
    await gateway?.stop();
    if (folder !== undefined) await rm(folder, { recursive: true });
  });

  async function open(): Promise<Page> {
    const page = await context.newPage();
    page.on('pageerror', (error) => complaints.push(error.message));
    page.on('console', (message) => {
      if (message.type() === 'error' || message.type() === 'warning') complaints.push(message.text());
    });
    await page.goto(server.resolvedUrls?.local[0] ?? '');
    return page;
  }

  const says = (page: Page, heading: string) =>
    expect.poll(() => page.textContent('h1'), { timeout: 10_000 }).toBe(heading);
  const press = (page: Page, name: string) => page.getByRole('button', { name, exact: true }).click();
  const notes = (page: Page) => expect.poll(() => page.locator('li').allTextContents(), { timeout: 5_000 });

  async function write(page: Page, note: string): Promise<void> {
    await page.getByLabel('Note').fill(note);
    await page.keyboard.press('Enter');
  }

  it('two tabs share a session: one writes, the other takes over, and a reload changes nothing', async () => {
    const first = await open();
    await says(first, 'You write');
    await write(first, 'one');
    const second = await open();
    await notes(second).toEqual(['one']);
    await says(second, 'You read along');

    await press(second, 'Write');
    await expect.poll(() => second.textContent('p')).toContain('watching');
    await says(second, 'You read along');
    await press(second, 'Take over');
    await says(second, 'You write');
    await says(first, 'You read along');
    await write(second, 'two');
    for (const page of [first, second]) await notes(page).toEqual(['one', 'two']);

    await second.reload();
    await says(second, 'You write');
    await notes(second).toEqual(['one', 'two']);

    await press(second, 'Stop writing');
    await press(first, 'Write');
    await says(first, 'You write');
    expect(complaints).toEqual([]);
  });

  it('tells of a connection that stays away', async () => {
    const page = await open();
    const banner = page.getByRole('status');
    await expect.poll(() => page.textContent('p')).toMatch(/watching|owner/);
    expect(await banner.textContent()).toBe('');
    await context.setOffline(true);
    // Open sockets fall silent without being closed.
    await page.evaluate(`document.dispatchEvent(new Event('visibilitychange'))`);
    await expect.poll(() => banner.textContent(), { timeout: 10_000 }).toBe('Reconnecting…');
    await context.setOffline(false);
    await page.evaluate(`window.dispatchEvent(new Event('online'))`);
    await expect.poll(() => banner.textContent(), { timeout: 30_000 }).toBe('');
  });
});
