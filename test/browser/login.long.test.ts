import { type Browser, type BrowserContext, type Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { launchChromium } from '../support/chromium.js';
import { describeWithChromium } from '../support/chromium-suite.js';
import { DevGateway } from '../support/dev-gateway.js';

const ACCESS_MS = 2_000;

describeWithChromium('logging in on the page', () => {
  let gateway: DevGateway;
  let browser: Browser;
  let context: BrowserContext;
  /** Methods, paths and statuses of the login routes. */
  let calls: string[];
  let tests = 0;

  const open = async (): Promise<Page> => {
    const page = await context.newPage();
    page.on('response', (response) => {
      const { pathname } = new URL(response.url());
      if (pathname.startsWith('/v1/auth')) calls.push(`${pathname.slice(9)} ${response.status()}`);
    });
    await page.goto(`${gateway.url}#demo:login-${tests}`);
    return page;
  };
  const shows = (page: Page, selector: string, text: string, timeoutMs = 5_000) =>
    expect.poll(() => page.textContent(selector), { timeout: timeoutMs }).toBe(text);
  const logIn = async (page: Page, name: string): Promise<void> => {
    await page.getByPlaceholder('A name').fill(name);
    await page.getByRole('button', { name: 'Log in', exact: true }).click();
    await shows(page, '#login-label', `Logged in as ${name}`);
  };

  beforeAll(async () => {
    const short = ['--access-token-ttl-ms', `${ACCESS_MS}`, '--renewal-margin-ms', '1000', '--ticket-ttl-ms', '1000'];
    gateway = await DevGateway.start(...short, '--reuse-interval-ms', '300', '--grace-ms', '2000');
    browser = await launchChromium();
  });

  beforeEach(async () => {
    tests += 1;
    calls = [];
    context = await browser.newContext();
  });

  afterEach(() => context.close());

  afterAll(async () => {
    await browser?.close();
    await gateway?.stop();
  });

  it('logs in, stays logged in over reloads and in other tabs, and logs out everywhere', async () => {
    const page = await open();
    await shows(page, '#login-label', 'Anonymous');
    await logIn(page, 'alice');
    await shows(page, '#headline', 'You own this session');
    const cookies = await context.cookies();
    expect(cookies.map(({ name, httpOnly, secure, sameSite }) => ({ name, httpOnly, secure, sameSite }))).toEqual([
      { name: '__Host-holdfast', httpOnly: true, secure: true, sameSite: 'Strict' },
    ]);
    await page.reload();
    await shows(page, '#login-label', 'Logged in as alice');
    await shows(page, '#headline', 'You own this session');
    const second = await open();
    await shows(second, '#login-label', 'Logged in as alice');
    await shows(second, '#headline', 'You are watching');
    await page.getByRole('button', { name: 'Log out', exact: true }).click();
    await shows(page, '#login-label', 'Anonymous');
    await expect.poll(() => second.textContent('#log')).toContain('Logged out');
    await shows(second, '#login-label', 'Logged out');
    await shows(second, '#detail', 'Your login has ended. Log in again.');
    expect(await second.getByRole('button', { name: 'Log in', exact: true }).isVisible()).toBe(true);
    expect(await context.cookies()).toEqual([]);
  });

  it('needs no person after an idle time longer than every token, nor after 20 quick reloads', async () => {
    const page = await open();
    await logIn(page, 'bob');
    await context.setOffline(true);
    await page.waitForTimeout(ACCESS_MS + 1_500);
    await context.setOffline(false);
    await page.reload();
    await shows(page, '#headline', 'You own this session', 10_000);
    for (let i = 0; i < 20; i += 1) await page.reload({ waitUntil: 'domcontentloaded' });
    await shows(page, '#login-label', 'Logged in as bob');
    await expect.poll(() => page.textContent('#connection'), { timeout: 10_000 }).toMatch(/^c_/);
    expect(calls.filter((call) => / 4\d\d$/.test(call))).toEqual([]);
    // 21 loads of a page with a real browser: on a busy machine each takes a second.
  }, 60_000);

  it('stays connected over renewals without any HTTP', async () => {
    const page = await open();
    await logIn(page, 'carol');
    await shows(page, '#headline', 'You own this session');
    const connection = await page.textContent('#connection');
    calls = [];
    await page.waitForTimeout(3 * ACCESS_MS);
    expect(await page.textContent('#connection')).toBe(connection);
    expect(calls).toEqual([]);
  });
});
