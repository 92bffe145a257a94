import { type Browser, type BrowserContext, type Page } from 'playwright-core';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { launchChromium } from '../support/chromium.js';
import { describeWithChromium } from '../support/chromium-suite.js';
import { DevGateway } from '../support/dev-gateway.js';
import { ExampleProcess } from './example-process.js';

const API_KEY = 'example-api-key-8Qm3T0s5vXyR1uWb7cZdKf2g';

describeWithChromium('the login form in Chromium', () => {
  let gateway: DevGateway;
  let example: ExampleProcess;
  let browser: Browser;
  let context: BrowserContext;

  beforeAll(async () => {
    vi.stubEnv('HOLDFAST_API_KEY', API_KEY);
    gateway = await DevGateway.start('--auth', 'login', '--access', 'rules');
    const env = { HOLDFAST_API_KEY: API_KEY, GATEWAY_URL: new URL(gateway.url).origin, PORT: '0' };
    example = await ExampleProcess.start('login-form', env);
    browser = await launchChromium();
    context = await browser.newContext();
  });

  afterAll(async () => {
    vi.unstubAllEnvs();
    await browser?.close();
    await example?.stop();
    await gateway?.stop();
  });

  const room = (page: Page) => expect.poll(() => page.textContent('#state'), { timeout: 10_000 });
  const isFormShown = (page: Page) => expect.poll(() => page.isVisible('#form'), { timeout: 10_000 });

  async function open(): Promise<Page> {
    const page = await context.newPage();
    await page.goto(example.origin);
    return page;
  }

  it('asks for a password once: not after a reload, not in another tab; a logout is for all of them', async () => {
    const page = await open();
    await isFormShown(page).toBe(true);
    await page.fill('input[name=name]', 'alice');
    await page.fill('input[name=password]', 'wrong');
    await page.click('#form button');
    await expect.poll(() => page.textContent('#problem')).toBe('Wrong name or password');
    await page.fill('input[name=password]', 'holdfast');
    await page.click('#form button');
    await room(page).toBe('owner');

    const cookies = await context.cookies();
    expect(cookies.find(({ name }) => name === '__Host-holdfast')).toMatchObject({
      httpOnly: true,
      secure: true,
      sameSite: 'Strict',
      path: '/',
    });
    expect(await page.evaluate('document.cookie + JSON.stringify(localStorage)')).not.toContain('hfr1.');

    for (let round = 0; round < 20; round++) {
      await page.reload();
      await expect.poll(() => page.textContent('#principal'), { timeout: 10_000 }).toBe('alice');
    }
    const other = await open();
    await expect.poll(() => other.textContent('#connection'), { timeout: 10_000 }).toBe('open');
    expect(await other.isVisible('#form')).toBe(false);

    await page.click('#logout');
    await isFormShown(page).toBe(true);
    await isFormShown(other).toBe(true);
    await page.reload();
    await isFormShown(page).toBe(true);
  });
});
