import { afterEach, describe, expect, it } from 'vitest';
import { createJwtLogin, createLogin, type LoginClient, type LoginOptions } from '../../src/client/login/index.js';
import { connect, gateway, joined, pass } from './testing-harness.js';

const ID = 'doc:1';
const url = 'https://gateway.test';
const logins: LoginClient[] = [];

afterEach(() => {
  for (const login of logins.splice(0)) login.close();
});

async function loggedIn(options: LoginOptions = {}): Promise<LoginClient> {
  const login = createLogin({ url, fetch: gateway.auth.fetch, ...options });
  logins.push(login);
  await login.exchange(gateway.auth.createLogin('alice'));
  return login;
}

describe('a login at the fake gateway', () => {
  it('is one browser’s, with a cookie', async () => {
    const login = await loggedIn();
    const { principal, login_id: loginId } = await login.me();
    expect([principal, loginId]).toEqual(['alice', 'login_1']);
    const first = await login.accessToken();
    expect(await login.accessToken()).toBe(first);
    expect((await login.refresh()).accessToken).not.toBe(first);
    expect(await login.upstream()).toMatchObject({ token_type: 'Bearer' });
    const session = (await joined(ID, { login }))[0];
    expect(session.state.name).toBe('owner');
    expect(gateway.session(ID).principal).toBe('alice');
    await login.logout();
    await pass();
    expect(session.state.name).toBe('stopped');
    expect(gateway.session(ID).state).toBe('free');
    await expect(login.me()).rejects.toMatchObject({ code: 'no_login' });
  });

  it('is a program’s, with refresh tokens', async () => {
    let kept: string | undefined;
    const refreshTokens = { get: () => kept, set: (token: string | undefined) => void (kept = token) };
    const login = await loggedIn({ refreshTokens });
    const first = kept;
    await login.refresh();
    expect([first, kept]).toEqual([expect.stringMatching(/^hfr1\./), expect.not.stringMatching(first ?? '')]);
    await expect(loggedIn().then((it) => it.exchange('hfc_wrong'))).rejects.toMatchObject({
      code: 'invalid_login_code',
    });
  });

  it('is renewed over the connection before it expires', async () => {
    const login = await loggedIn();
    const [, client] = await joined(ID, { login });
    await pass(20 * 60_000);
    expect(gateway.sent('renew_login').length).toBeGreaterThanOrEqual(4);
    expect(client.connection.name).toBe('open');
    expect(gateway.connections).toHaveLength(1);
  });

  it('whose connection is not renewed is closed', async () => {
    const [, client] = await joined(ID, { login: await loggedIn() });
    for (let n = 0; n < 100; n++) gateway.refuseNext('renew_login', 'store_unavailable');
    await pass(300_000 + 24_000);
    expect(gateway.connections).toHaveLength(1);
    const [first] = gateway.connections;
    await pass(2_000);
    expect(first?.open).toBe(false);
    expect(client.connection.name).toBe('open');
  });

  it('comes back with a new ticket after it expired', async () => {
    const [session] = await joined(ID, { login: await loggedIn() });
    const anonymous = (await joined(ID))[1];
    const tickets = () => gateway.connections.flatMap(({ protocols }) => protocols.slice(1));
    const before = tickets();
    gateway.expireLogin();
    await pass(100);
    expect(session.state.name).toBe('owner');
    expect(tickets()).not.toEqual(before);
    expect(anonymous.connection.name).toBe('open');
  });

  it.each([4001, 4002, 4003] as const)('is over with %i', async (code) => {
    const login = await loggedIn();
    const [, client] = await joined(ID, { login });
    gateway.endLogin(code);
    await pass();
    expect(client.connection).toEqual({ name: 'stopped', code });
    await expect(login.refresh()).rejects.toMatchObject({ code: expect.stringMatching(/login_ended|no_login/) });
    gateway.endLogin();
  });

  it('is refused, or not answered, when the test says so', async () => {
    const login = await loggedIn();
    gateway.refuseNext('me', 'forbidden');
    await expect(login.me()).rejects.toMatchObject({ code: 'forbidden' });
    gateway.goSilent();
    const me = login.me();
    await pass(5_000);
    gateway.speak();
    expect((await me).principal).toBe('alice');
    await expect(gateway.auth.fetch('https://gateway.test/other')).resolves.toMatchObject({ status: 404 });
    gateway.goSilent();
    const aborted = gateway.auth.fetch(`${url}/v1/auth/me`, { signal: AbortSignal.abort() });
    await expect(aborted).rejects.toMatchObject({ name: 'AbortError' });
  });

  it('takes each ticket once', async () => {
    const offer = (ticket: string) => ({ protocols: [`holdfast.ticket.${ticket}`] });
    const ticket = gateway.auth.createTicket('bob');
    const [, first] = await joined(ID, offer(ticket));
    expect(first.connection).toMatchObject({ welcome: { principal: 'bob' } });
    const [, second] = await joined('doc:2', offer(ticket));
    expect(second.connection).toEqual({ name: 'stopped', code: 4202 });
  });

  it('may be the application’s, by a JWT', async () => {
    const getAccessToken = () => 'a.jwt.of.the.application';
    const [session] = await joined(ID, { login: createJwtLogin({ url, fetch: gateway.auth.fetch, getAccessToken }) });
    expect(session.state.name).toBe('owner');
    await pass(300_000);
    expect(gateway.sent('renew_login').at(-1)).toMatchObject({ access_token: getAccessToken() });
    const client = connect({ getAccessToken });
    client.session('doc:3');
    await pass();
    expect(client.connection).toMatchObject({ welcome: { principal: 'alice', features: ['messages', 'renew_login'] } });
  });
});
