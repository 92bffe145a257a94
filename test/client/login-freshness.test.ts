import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { HeldToken } from '../../src/client/login/access-token.js';
import { accessToken, problem } from './fake-auth.js';
import { auth, ended, later, login, open, outcome, pass, storage } from './login-harness.js';
import { type LoginPage, openPage } from './login-page.js';

/** Tokens last 300 s; with the harness's random of 0.5 they are due after 70 % of that. */
const DUE_MS = 210_000;
const refreshes = () => auth.count('refresh');

describe('when a token is due', () => {
  const held = (token: string, random: number, nowMs = 0) =>
    new HeldToken({ loginId: 'login_1', accessToken: token, expiresAt: 1_000_000 }, nowMs, () => random);

  it('is between 60 and 80 % of its life, whatever the clocks say', () => {
    for (const nowMs of [0, 1_700_000_000_000]) {
      expect(held(accessToken(1), 0, nowMs).dueInMs(nowMs)).toBe(180_000);
      expect(held(accessToken(1), 0.5, nowMs).dueInMs(nowMs)).toBe(DUE_MS);
      expect(held(accessToken(1), 1, nowMs).dueInMs(nowMs)).toBe(240_000);
    }
    expect(held('opaque', 0.5).dueInMs(0)).toBe(700_000);
  });

  it('is at once after the clock was set back, for that may have been at any time', () => {
    expect(held(accessToken(1), 0.5, 5_000).dueInMs(4_999)).toBe(0);
  });

  it('is not within a second, and never for one that was over when it came', () => {
    expect(held(accessToken(1, 'login_1', 3), 0.5).dueInMs(0)).toBe(1_000);
    expect(held('opaque', 0.5, 1_000_000).dueInMs(1_000_000)).toBe(Number.POSITIVE_INFINITY);
  });
});

describe('without a connection', () => {
  it('is refreshed before it ends, again and again', async () => {
    await open().exchange('hfc_1');
    await pass(DUE_MS - 1);
    expect(refreshes()).toBe(0);
    for (let i = 1; i <= 20; i++) {
      await pass(1);
      expect(refreshes()).toBe(i);
      await pass(DUE_MS - 1);
    }
    expect(refreshes()).toBe(20);
  });

  it('is refreshed at most once a second when tokens last no time at all', async () => {
    vi.spyOn(auth, 'fetch').mockImplementation(async () => {
      auth.sent.length += 1;
      return Response.json({ login_id: 'login_1', access_token: accessToken(1, 'login_1', 1), expires_at: 0 });
    });
    await open().exchange('hfc_1');
    await pass(60_000);
    expect(auth.sent.length).toBeLessThanOrEqual(61);
  });

  it.each([
    ['a logout', () => login.logout()],
    ['the end of the client', async () => login.close()],
    [
      'a refused request',
      async () => {
        auth.replies.push(problem(401, 'login_ended'));
        await login.me().catch(() => {});
      },
    ],
  ])('is left alone after %s', async (_name, end) => {
    await open().exchange('hfc_1');
    await end();
    expect(vi.getTimerCount()).toBe(0);
    await pass(10 * DUE_MS);
    expect(refreshes()).toBe(0);
  });

  it('is left alone when it came after the end of the client', async () => {
    const late = later();
    auth.replies.push(late.reply);
    const exchanged = outcome(open().exchange('hfc_1'));
    await pass();
    login.close();
    late.answer(Response.json({ login_id: 'login_1', access_token: accessToken(1), expires_at: 0 }));
    login.renewed(accessToken(2), 0);
    await pass();
    expect(exchanged.code).toBe('stopped');
    expect(vi.getTimerCount()).toBe(0);
  });

  it('is asked for again while the gateway is away, with everything kept', async () => {
    await open().exchange('hfc_1');
    auth.replies.push(...Array.from({ length: 200 }, () => new TypeError('offline')));
    await pass(DUE_MS + 600_000);
    expect(ended).toEqual([]);
    expect(refreshes()).toBeGreaterThan(20);
    expect(refreshes()).toBeLessThan(200);
    auth.replies.length = 0;
    const before = refreshes();
    await pass(90_000);
    expect(refreshes()).toBe(before + 1);
  });

  it('ends the login when the gateway says so', async () => {
    await open().exchange('hfc_1');
    auth.replies.push(problem(401, 'login_ended'));
    await pass(DUE_MS);
    expect(ended).toEqual(['login_ended']);
    expect(vi.getTimerCount()).toBe(0);
  });
});

it('keeps no program running', async () => {
  const unref = vi.fn();
  const { setTimeout } = globalThis;
  vi.stubGlobal('setTimeout', (run: () => void, ms: number) => Object.assign(setTimeout(run, ms), { unref }));
  try {
    await open().exchange('hfc_1');
    expect(unref).toHaveBeenCalledOnce();
  } finally {
    vi.unstubAllGlobals();
  }
});

describe('in a page', () => {
  let page: LoginPage;

  beforeEach(() => {
    page = openPage();
  });

  it('waits until somebody looks at it, then does not wait at all', async () => {
    await open().exchange('hfc_1');
    page.hide();
    await pass(10 * DUE_MS);
    expect(refreshes()).toBe(0);
    page.show();
    await pass();
    expect(refreshes()).toBe(1);
    page.hide();
    page.show();
    await pass();
    expect(refreshes()).toBe(1);
  });

  it('is refreshed at once after a sleep in which no timer ran', async () => {
    await open().exchange('hfc_1');
    vi.setSystemTime(Date.now() + 3_600_000);
    page.comeBack();
    await pass();
    expect(refreshes()).toBe(1);
  });

  it('that comes out of the cache hears what other tabs did meanwhile', async () => {
    await open().exchange('hfc_1');
    storage.setItem('holdfast:login', 'login_2');
    page.comeBack();
    auth.loginId = 'login_2';
    expect(await login.accessToken()).toBe(accessToken(2, 'login_2'));
    expect(ended).toEqual([]);
    storage.removeItem('holdfast:login');
    page.comeBack();
    expect(ended).toEqual(['logout']);
  });
});

describe('over a connection', () => {
  let renew: ReturnType<typeof vi.fn<() => void>>;
  let withdraw: () => void;

  beforeEach(async () => {
    renew = vi.fn<() => void>();
    await open().exchange('hfc_1');
    withdraw = login.offerRenewal(renew);
  });

  afterEach(() => withdraw());

  it('is renewed without any HTTP', async () => {
    expect(renew).not.toHaveBeenCalled();
    for (let i = 1; i <= 20; i++) {
      await pass(DUE_MS);
      expect(renew).toHaveBeenCalledTimes(i);
      login.renewed(accessToken(100 + i), 0);
    }
    expect(auth.sent).toHaveLength(1);
  });

  it('that is lost before it could, is refreshed by the login itself', async () => {
    await pass(DUE_MS);
    expect(refreshes()).toBe(0);
    withdraw();
    await pass();
    expect(renew).toHaveBeenCalledOnce();
    expect(refreshes()).toBe(1);
  });

  it('that comes when the token is due, is renewed at once', async () => {
    withdraw();
    auth.replies.push('hang');
    await pass(DUE_MS);
    const next = vi.fn();
    withdraw = login.offerRenewal(next);
    expect(next).toHaveBeenCalledOnce();
    login.renewed(accessToken(77), 0);
    expect(await login.accessToken()).toBe(accessToken(77));
    login.close();
    await pass();
  });

  it('of the login before is not asked for a token of the next', async () => {
    auth.loginId = 'login_2';
    await login.exchange('hfc_2');
    await pass(DUE_MS);
    expect(renew).not.toHaveBeenCalled();
    expect(refreshes()).toBe(1);
  });

  it.each([
    ['a logout', () => login.logout(), 1],
    [
      'a refused request',
      async () => {
        auth.replies.push(problem(401, 'login_ended'));
        await login.me().catch(() => {});
      },
      0,
    ],
  ])('is told to stop when the person leaves, not otherwise: %s', async (_name, end, times) => {
    const left = vi.fn();
    const unlisten = login.onEnded(left);
    await end();
    expect(left).toHaveBeenCalledTimes(times);
    await login.logout();
    expect(left).toHaveBeenCalledTimes(times + 1);
    unlisten();
    await login.logout();
    expect(left).toHaveBeenCalledTimes(times + 1);
  });
});
