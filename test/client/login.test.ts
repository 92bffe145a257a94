import { describe, expect, it, vi } from 'vitest';
import { createLogin } from '../../src/client/login/index.js';
import { accessToken, problem } from './fake-auth.js';
import { auth, ended, GATEWAY, LOGIN_KEY, login, open, outcome, pass, storage, stored } from './login-harness.js';
import { openPage } from './login-page.js';

describe('a request of a login', () => {
  it('goes to the gateway with the cookie and the header against forgery', async () => {
    await open().exchange('hfc_1');
    expect(auth.last).toMatchObject({ url: `${GATEWAY}/v1/auth/exchange`, credentials: 'include' });
    expect(auth.last.headers.get('X-Holdfast')).toBe('1');
    expect(auth.last.body).toEqual({ login_code: 'hfc_1' });
    expect(auth.last.method).toBe('POST');
    await login.me();
    expect(auth.last.method).toBe('GET');
    expect(auth.last.headers.get('X-Holdfast')).toBe('1');
    expect(auth.last.headers.get('Authorization')).toBeNull();
  });

  it('shows the refresh token elsewhere, and keeps its successor', async () => {
    let token: string | undefined = 'hfr1.0';
    const refreshTokens = { get: async () => token, set: async (next?: string) => void (token = next) };
    auth.refreshTokens = true;
    await open({ refreshTokens }).refresh();
    expect(auth.last.headers.get('Authorization')).toBe('Bearer hfr1.0');
    expect(auth.last.credentials).toBe('omit');
    expect(token).toBe('hfr1.1');
    await login.ticket();
    expect(auth.last.headers.get('Authorization')).toBe('Bearer hfr1.1');
    await login.logout();
    expect(auth.last.headers.get('Authorization')).toBe('Bearer hfr1.1');
    expect(token).toBeUndefined();
    await expect(login.refresh()).rejects.toMatchObject({ code: 'no_login' });
  });

  it('never puts a credential into a URL', async () => {
    await open().exchange('hfc_1');
    await login.ticket();
    await login.logout();
    for (const { url } of auth.sent) expect(url).not.toMatch(/hfc_|hft_|\?/);
  });
});

describe('the gateway of a login', () => {
  it('is remembered from an exchange, in all tabs', async () => {
    const gateways = ['https://eu.gateway.test/'];
    await open({ gateways }).exchange('hfc_1', 'https://eu.gateway.test');
    expect(open({ gateways }).gateway).toBe('https://eu.gateway.test');
    await login.refresh();
    expect(auth.last.url).toBe('https://eu.gateway.test/v1/auth/refresh');
  });

  it('is not the page itself because that was stored once', () => {
    openPage();
    const gateways = ['https://app.test', 'https://other.test'];
    stored.set('holdfast:gateway', 'https://app.test');
    expect(open({ gateways }).gateway).toBe(GATEWAY);
    stored.set('holdfast:gateway', 'https://other.test');
    expect(open({ gateways }).gateway).toBe('https://other.test');
    stored.set('holdfast:gateway', 'javascript:alert(1)');
    expect(open({ gateways }).gateway).toBe(GATEWAY);
    const proxied = createLogin({ storage });
    expect(proxied.gateway).toBe('https://app.test');
    proxied.close();
  });

  it('is none that the options do not name, whoever stored it', async () => {
    stored.set('holdfast:gateway', 'https://evil.test');
    expect(open({ gateways: ['https://eu.gateway.test'] }).gateway).toBe(GATEWAY);
    await login.refresh();
    expect(auth.last.url).toBe(`${GATEWAY}/v1/auth/refresh`);
    for (const gateway of ['https://evil.test', 'https://eu.gateway.test:444', 'http://eu.gateway.test', 'eu'])
      expect(() => login.exchange('hfc_1', gateway)).toThrow(TypeError);
    expect(auth.count('exchange')).toBe(0);
    await login.exchange('hfc_1', `${GATEWAY}/`);
    expect(stored.has('holdfast:gateway')).toBe(false);
  });

  it('is remembered in memory where the storage is forbidden', async () => {
    const fail = () => {
      throw new DOMException('denied', 'SecurityError');
    };
    const forbidden = { getItem: fail, setItem: fail, removeItem: fail };
    await open({ storage: forbidden, gateways: ['https://eu.gateway.test'] }).exchange(
      'hfc_1',
      'https://eu.gateway.test',
    );
    expect(login.gateway).toBe('https://eu.gateway.test');
    await expect(login.refresh()).resolves.toMatchObject({ loginId: 'login_1' });
  });

  it('must be named outside of a page', () => {
    expect(() => createLogin()).toThrow(TypeError);
    expect(() => createLogin({ url: 'gateway.test' })).toThrow(TypeError);
    expect(() => createLogin({ url: GATEWAY, gateways: ['eu.gateway.test'] })).toThrow(TypeError);
  });
});

describe('calls at once', () => {
  it('are one refresh, and one exchange of a code', async () => {
    open();
    const [first, second] = await Promise.all([login.exchange('hfc_1'), login.exchange('hfc_1')]);
    expect(first).toBe(second);
    await login.exchange('hfc_1');
    expect(auth.count('exchange')).toBe(1);
    const [third, fourth] = await Promise.all([login.refresh(), login.refresh()]);
    expect(third).toBe(fourth);
    expect(auth.count('refresh')).toBe(1);
    await login.refresh();
    expect(auth.count('refresh')).toBe(2);
  });

  it('exchange a code again after a failure', async () => {
    open({ operationTimeoutMs: 100 });
    auth.replies.push(new TypeError('offline'));
    await expect(login.exchange('hfc_1')).rejects.toMatchObject({ code: 'unreachable' });
    await expect(login.exchange('hfc_1')).resolves.toMatchObject({ loginId: 'login_1' });
  });

  it.each(['hang', 'hang on'] as const)('are not stuck behind a request that hangs (%s)', async (hang) => {
    open({ operationTimeoutMs: 10_000 });
    auth.replies.push(hang);
    const first = outcome(login.refresh());
    await pass(9_999);
    expect(first.code).toBeUndefined();
    await pass(1);
    expect(first.code).toBe('timeout');
    const second = outcome(login.refresh());
    await pass();
    expect(second.code).toBe('ok');
    expect(auth.count('refresh')).toBe(2);
  });

  it('are not stuck behind a store that hangs or fails', async () => {
    let get: () => Promise<string> = () => new Promise(() => {});
    auth.refreshTokens = true;
    open({ refreshTokens: { get: () => get(), set: () => {} }, operationTimeoutMs: 5_000 });
    const first = outcome(login.refresh());
    await pass(5_000);
    expect(first.code).toBe('timeout');
    get = () => Promise.reject(new Error('locked'));
    await expect(login.refresh()).rejects.toThrow('locked');
    get = async () => 'hfr1.0';
    await expect(login.refresh()).resolves.toMatchObject({ loginId: 'login_1' });
  });
});

describe('an access token', () => {
  it('is used as long as it lasts by this machine’s clock, then refreshed', async () => {
    openPage().hide();
    await open().exchange('hfc_1');
    const first = await login.accessToken();
    await pass(289_000);
    expect(await login.accessToken()).toBe(first);
    await pass(2_000);
    expect(await login.accessToken()).not.toBe(first);
    expect(auth.count('refresh')).toBe(1);
  });

  it('is fetched anew when the clock was set back', async () => {
    await open().exchange('hfc_1');
    const first = await login.accessToken();
    vi.setSystemTime(Date.now() - 3_600_000);
    expect(await login.accessToken()).not.toBe(first);
  });

  it('that came over a connection is taken over, unless it is of another login', async () => {
    await open().exchange('hfc_1');
    await pass(200_000);
    login.renewed(accessToken(77), 0);
    login.renewed(accessToken(78, 'login_other'), 0);
    await pass(200_000);
    expect(await login.accessToken()).toBe(accessToken(77));
    await login.logout();
    const renewed = vi.fn();
    login.on('renewed', renewed);
    login.renewed(accessToken(79), 0);
    expect(renewed).not.toHaveBeenCalled();
  });
});

describe('a failure', () => {
  it.each([
    ['an outage', () => problem(503, 'store_unavailable')],
    ['a lost answer', () => new TypeError('network')],
    ['a proxy that cannot reach the gateway', () => new Response('<h1>Bad gateway</h1>', { status: 502 })],
    ['a rate limit', () => problem(429, 'rate_limited')],
  ])('that is %s is tried again and ends nothing', async (_name, reply) => {
    open();
    auth.replies.push(reply(), reply(), reply());
    const refreshed = outcome(login.refresh());
    await pass(5_000);
    expect(refreshed.code).toBe('ok');
    expect(auth.count('refresh')).toBe(4);
    expect(ended).toEqual([]);
  });

  it('is waited out as long as the gateway asks', async () => {
    open();
    auth.replies.push(problem(503, 'store_unavailable', 3_000));
    const refreshed = outcome(login.refresh());
    await pass(2_999);
    expect(auth.count('refresh')).toBe(1);
    await pass(300);
    expect(refreshed.code).toBe('ok');
  });

  it('that lasts is told, with the login kept', async () => {
    stored.set(LOGIN_KEY, 'login_1');
    open();
    auth.replies.push(...Array.from({ length: 50 }, () => new TypeError('offline')));
    const refreshed = outcome(login.refresh());
    await pass(30_000);
    expect(refreshed.code).toBe('unreachable');
    auth.replies.length = 0;
    await expect(login.refresh()).resolves.toMatchObject({ loginId: 'login_1' });
    expect(ended).toEqual([]);
  });

  it.each([
    [401, 'login_ended', 'login_ended'],
    [401, 'refresh_token_reused', 'refresh_token_reused'],
    [401, 'invalid_refresh_token', 'invalid_refresh_token'],
    [401, 'unauthorized', 'no_login'],
  ])('%i %s ends the login, once', async (status, code, reason) => {
    await open().exchange('hfc_1');
    auth.replies.push(problem(status, code), problem(status, code));
    await expect(login.refresh()).rejects.toMatchObject({ code: reason });
    await expect(login.ticket()).rejects.toMatchObject({ code: reason });
    expect(ended).toEqual([reason]);
    expect(stored.get(LOGIN_KEY)).toBe('');
    await login.exchange('hfc_2');
    await expect(login.refresh()).resolves.toMatchObject({ loginId: 'login_1' });
  });

  it.each([
    [403, 'origin_not_allowed'],
    [409, 'upstream_reauth_required'],
    [409, 'no_such_code'],
    [409, 'constructor'],
  ])('%i %s is told and ends nothing', async (status, code) => {
    await open().exchange('hfc_1');
    auth.replies.push(problem(status, code));
    await expect(login.upstream()).rejects.toMatchObject({ code });
    expect(ended).toEqual([]);
    expect(auth.count('upstream')).toBe(1);
  });

  it('401 of something that is not the gateway ends nothing', async () => {
    await open().exchange('hfc_1');
    auth.replies.push(new Response('Sign in to this network', { status: 401 }));
    await expect(login.refresh()).rejects.toMatchObject({ code: 'unexpected_answer' });
    expect(ended).toEqual([]);
  });
});
