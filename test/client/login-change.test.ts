import { describe, expect, it, vi } from 'vitest';
import { accessToken, problem } from './fake-auth.js';
import { auth, ended, GATEWAY, LOGIN_KEY, later, login, open, outcome, pass, stored } from './login-harness.js';
import { openPage } from './login-page.js';

describe('an exchange', () => {
  const answer = (loginId = 'login_1') => {
    const body = { login_id: loginId, access_token: accessToken(1, loginId), expires_at: 0 };
    return Response.json({ ...body, ...(auth.refreshTokens && { refresh_token: 'hfr1.1' }) });
  };

  it('is waited for by what is asked meanwhile, and not undone by what was asked before', async () => {
    const [before, late] = [later(), later()];
    auth.replies.push(before.reply, late.reply);
    const early = outcome(open().me());
    await pass();
    const exchanged = outcome(login.exchange('hfc_1'));
    const [ticket, me] = [outcome(login.ticket()), outcome(login.me())];
    before.answer(problem(401, 'unauthorized'));
    await pass(1_000);
    expect(auth.sent.map(({ path }) => path)).toEqual(['me', 'exchange']);
    late.answer(answer());
    await pass();
    expect([exchanged, early, ticket, me].map(({ code }) => code)).toEqual(['ok', 'ok', 'ok', 'ok']);
    expect(ended).toEqual([]);
  });

  it('that a logout overtook leaves no login behind', async () => {
    const late = later();
    auth.replies.push(late.reply);
    const exchanged = outcome(open().exchange('hfc_1'));
    await pass();
    await login.logout();
    late.answer(answer());
    await pass();
    expect(exchanged.code).toBe('no_login');
    expect(auth.last).toMatchObject({ path: 'logout', credentials: 'omit' });
    expect(auth.last.headers.get('Authorization')).toBe(`Bearer ${accessToken(1)}`);
    expect(stored.has(LOGIN_KEY)).toBe(false);
  });

  it('gives up a refresh that is under way, whose answer would set the cookie of the login before', async () => {
    await open().exchange('hfc_1');
    auth.replies.push('hang');
    const refreshed = outcome(login.refresh());
    await pass();
    auth.loginId = 'login_2';
    await login.exchange('hfc_2');
    await pass(1_000);
    expect(refreshed.code).toBe('ok');
    expect(auth.sent.map(({ path }) => path)).toEqual(['exchange', 'refresh', 'exchange', 'refresh']);
  });

  it('without a gateway goes to the one of the options, and a failed one forgets no other', async () => {
    await open({ gateways: ['https://eu.gateway.test'] }).exchange('hfc_1', 'https://eu.gateway.test');
    auth.replies.push(problem(401, 'invalid_login_code'));
    await expect(login.exchange('hfc_2')).rejects.toMatchObject({ code: 'invalid_login_code' });
    expect(auth.last.url).toBe(`${GATEWAY}/v1/auth/exchange`);
    expect(login.gateway).toBe('https://eu.gateway.test');
    await login.exchange('hfc_3');
    expect(login.gateway).toBe(GATEWAY);
    expect(() => login.exchange('hfc_4', 'eu.gateway.test')).toThrow(TypeError);
  });
});

describe('a logout', () => {
  it('drops the answer of a refresh that was under way', async () => {
    await open().exchange('hfc_1');
    const late = later();
    auth.replies.push(late.reply);
    const refreshed = outcome(login.refresh());
    await pass();
    await login.logout();
    late.answer(Response.json({ login_id: 'login_1', access_token: accessToken(1), expires_at: 0 }));
    await pass();
    expect(refreshed.code).toBe('no_login');
    expect(stored.has(LOGIN_KEY)).toBe(false);
    expect(ended).toEqual(['logout']);
  });

  it('in another tab drops it as well', async () => {
    await open().exchange('hfc_1');
    const late = later();
    auth.replies.push(late.reply);
    const refreshed = outcome(login.refresh());
    await pass();
    stored.delete(LOGIN_KEY);
    late.answer(Response.json({ login_id: 'login_1', access_token: accessToken(1), expires_at: 0 }));
    await pass();
    expect(refreshed.code).toBe('no_login');
    expect(stored.has(LOGIN_KEY)).toBe(false);
  });

  it('that the gateway did not hear is told, and can be repeated with the same token', async () => {
    let token: string | undefined = 'hfr1.0';
    const refreshTokens = { get: () => token, set: (next?: string) => void (token = next) };
    open({ refreshTokens, operationTimeoutMs: 100 });
    auth.replies.push(new TypeError('offline'));
    await expect(login.logout()).rejects.toMatchObject({ code: 'unreachable' });
    expect(token).toBeUndefined();
    await login.logout();
    expect(auth.last.headers.get('Authorization')).toBe('Bearer hfr1.0');
    await login.logout();
    expect(auth.count('logout')).toBe(2);
    expect(ended).toEqual(['logout']);
  });

  it('that the gateway did not hear lasts beyond the page, whose cookie is still good, until it is repeated', async () => {
    openPage();
    open();
    await login.exchange('code');
    auth.replies.push(...Array.from({ length: 50 }, () => new Error('offline')));
    const left = outcome(login.logout());
    await pass(30_000);
    expect(left.code).toBe('unreachable');
    auth.replies.length = 0;
    for (const next of [open(), open()]) await expect(next.me()).rejects.toMatchObject({ code: 'no_login' });
    const sent = auth.count('logout');
    await login.logout();
    expect(auth.count('logout')).toBe(sent + 1);
    await login.exchange('other code');
    await expect(open().me()).resolves.toMatchObject({ principal: 'alice' });
  });

  it('ends a refresh that waits for its next try, and what is asked before the gateway has heard of it', async () => {
    await open().exchange('hfc_1');
    auth.replies.push(problem(503, 'store_unavailable', 2_000));
    const refreshed = outcome(login.refresh());
    await pass();
    auth.replies.push(problem(503, 'store_unavailable', 60_000));
    const left = outcome(login.logout());
    await pass(5_000);
    expect([left.code, refreshed.code]).toEqual(['store_unavailable', 'no_login']);
    await expect(login.me()).rejects.toMatchObject({ code: 'no_login' });
    expect(auth.sent.map(({ path }) => path)).toEqual(['exchange', 'refresh', 'logout']);
    expect(stored.has(LOGIN_KEY)).toBe(false);
    await login.logout();
    expect(ended).toEqual(['logout']);
    await login.exchange('hfc_2');
    await expect(login.me()).resolves.toMatchObject({ login_id: 'login_1' });
  });

  it.each(['get', 'set'] as const)('is here at once, and not stuck behind a store whose %s hangs', async (which) => {
    const hang = () => new Promise<never>(() => {});
    const refreshTokens = { get: async () => 'hfr1.0', set: async () => {}, [which]: hang };
    const left = outcome(open({ refreshTokens }).logout());
    await pass();
    expect(ended).toEqual(['logout']);
    await pass(10_000);
    expect(left.code).toBe('timeout');
    Object.assign(refreshTokens, { [which]: async () => 'hfr1.0' });
    await login.logout();
    expect(auth.last.headers.get('Authorization')).toBe('Bearer hfr1.0');
  });

  it('of a login that had ended already is done', async () => {
    await open().exchange('hfc_1');
    auth.replies.push(problem(401, 'login_ended'));
    await login.logout();
    expect(ended).toEqual(['logout']);
  });
});

describe('another tab', () => {
  it('that refreshed at the same time was given the same token', async () => {
    let token: string | undefined = 'hfr1.0';
    const refreshTokens = { get: () => token, set: (next?: string) => void (token = next) };
    auth.refreshTokens = true;
    open({ refreshTokens });
    const refreshed = login.refresh();
    token = 'hfr1.1';
    await expect(refreshed).resolves.toMatchObject({ loginId: 'login_1' });
  });

  it.each([
    ['an answer', () => Response.json({ login_id: 'login_1', access_token: accessToken(1), expires_at: 0 })],
    ['a refusal', () => problem(401, 'login_ended')],
  ])('that logged in anew is not undone by %s for the login before', async (_name, answer) => {
    await open().exchange('hfc_1');
    const late = later();
    auth.replies.push(late.reply);
    const refreshed = login.refresh();
    await pass();
    stored.set(LOGIN_KEY, 'login_2');
    auth.loginId = 'login_2';
    late.answer(answer());
    await pass(1_000);
    await expect(refreshed).resolves.toMatchObject({ loginId: 'login_2' });
    expect(stored.get(LOGIN_KEY)).toBe('login_2');
    expect(ended).toEqual([]);
  });

  it('that logs out or in is heard of', async () => {
    const page = openPage();
    await open().exchange('hfc_1');
    page.stored('something else', null);
    expect(ended).toEqual([]);
    page.stored(LOGIN_KEY, null);
    expect(ended).toEqual(['logout']);
    page.stored(LOGIN_KEY, 'login_2');
    page.stored(LOGIN_KEY, null);
    expect(ended).toEqual(['logout', 'logout']);
  });

  it('is nothing to a login that is closed, nor to one whose token the application keeps', async () => {
    const page = openPage();
    await open().exchange('hfc_1');
    login.close();
    page.stored(LOGIN_KEY, null);
    auth.refreshTokens = true;
    let token: string | undefined = 'hfr1.0';
    await open({ refreshTokens: { get: () => token, set: (next) => void (token = next) } }).refresh();
    page.stored(LOGIN_KEY, null);
    expect(ended).toEqual([]);
    auth.replies.push(problem(401, 'login_ended'));
    await login.me().catch(() => {});
    expect(ended).toEqual(['login_ended']);
    expect(token).toBeUndefined();
  });

  it('that was refused tells that the login is over, not that the person left', async () => {
    const page = openPage();
    const left = vi.fn();
    await open().exchange('hfc_1');
    login.onEnded(left);
    const late = later();
    auth.replies.push(late.reply);
    const refreshed = outcome(login.refresh());
    await pass();
    stored.set(LOGIN_KEY, '');
    late.answer(Response.json({ login_id: 'login_1', access_token: accessToken(1), expires_at: 0 }));
    await pass();
    expect(refreshed.code).toBe('no_login');
    page.stored(LOGIN_KEY, '');
    expect(ended).toEqual(['login_ended']);
    expect(left).not.toHaveBeenCalled();
    page.stored(LOGIN_KEY, null);
    expect(left).toHaveBeenCalledOnce();
  });

  it('that logged in as another leaves no token of the login before, which its connection may still renew', async () => {
    const page = openPage();
    await open().exchange('hfc_1');
    auth.loginId = 'login_2';
    page.stored(LOGIN_KEY, 'login_2');
    login.renewed(accessToken(77), 0);
    expect(await login.accessToken()).toBe(accessToken(2, 'login_2'));
  });

  it('where the login before ended does not undo an exchange', async () => {
    const page = openPage();
    const late = later();
    auth.replies.push(late.reply);
    const exchanged = outcome(open().exchange('hfc_1'));
    await pass();
    page.stored(LOGIN_KEY, null);
    late.answer(Response.json({ login_id: 'login_1', access_token: accessToken(1), expires_at: 0 }));
    await pass();
    expect(exchanged.code).toBe('ok');
    expect(ended).toEqual([]);
  });
});
