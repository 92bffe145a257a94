import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type Browser, type BrowserContext, type Page } from 'playwright-core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { launchChromium } from '../support/chromium.js';
import { describeWithChromium } from '../support/chromium-suite.js';
import { DevGateway } from '../support/dev-gateway.js';
import { eventually } from './eventually.js';
import { textOf } from './markdown.js';

describeWithChromium('the plain page in Chromium', () => {
  let gateway: DevGateway;
  let server: Server;
  let origin: string;
  let browser: Browser;
  let context: BrowserContext;
  const complaints: string[] = [];

  beforeAll(async () => {
    gateway = await DevGateway.start();
    const html = textOf('examples/plain-page/index.html').replaceAll('127.0.0.1:8080', new URL(gateway.url).host);
    server = createServer(({ url }, response) => {
      response.writeHead(url === '/' ? 200 : 204, { 'Content-Type': 'text/html' }).end(url === '/' ? html : undefined);
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    browser = await launchChromium();
    context = await browser.newContext();
  });

  afterAll(async () => {
    await browser?.close();
    server?.close();
    await gateway?.stop();
  });

  async function open(): Promise<Page> {
    const page = await context.newPage();
    page.on('pageerror', ({ message }) => complaints.push(message));
    page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()));
    await page.goto(origin);
    return page;
  }

  const isIn = (page: Page, state: string) => eventually(() => page.textContent('#state')).toBe(state);

  it('keeps its owner over reloads, tells the others, and lets them take over', async () => {
    const first = await open();
    await isIn(first, 'owner');
    const second = await open();
    await isIn(second, 'watching');
    expect(await second.isDisabled('#send')).toBe(true);

    for (const line of ['one', 'two', 'three']) {
      await first.fill('#text', line);
      await first.press('#text', 'Enter');
      await eventually(() => first.inputValue('#text')).toBe('');
      await first.reload();
      await isIn(first, 'owner');
    }
    expect(await second.locator('li').allTextContents()).toEqual(['one', 'two', 'three']);
    expect(await first.locator('li').allTextContents()).toEqual(['one', 'two', 'three']);

    await first.close();
    await isIn(second, 'held_by_other');
    await second.click('#take');
    await isIn(second, 'owner');
    expect(complaints).toEqual([]);
  });
});
