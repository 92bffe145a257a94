import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { type Client, createClient } from '../../src/client/index.js';
import { createLogin, type LoginClient } from '../../src/client/login/index.js';
import { DevGateway } from '../support/dev-gateway.js';
import { ExampleProcess } from './example-process.js';
import { Page } from './page.js';

const API_KEY = 'example-api-key-8Qm3T0s5vXyR1uWb7cZdKf2g';

describe('the example with a login form', () => {
  let gateway: DevGateway;
  let example: ExampleProcess;
  const open: (Client | LoginClient)[] = [];

  beforeAll(async () => {
    vi.stubEnv('HOLDFAST_API_KEY', API_KEY);
    gateway = await DevGateway.start('--auth', 'login', '--access', 'rules');
    const env = { HOLDFAST_API_KEY: API_KEY, GATEWAY_URL: new URL(gateway.url).origin, PORT: '0' };
    example = await ExampleProcess.start('login-form', env);
  });

  afterEach(() => {
    for (const one of open.splice(0)) one.close();
  });

  afterAll(async () => {
    vi.unstubAllEnvs();
    await example?.stop();
    await gateway?.stop();
  });

  async function logIn(page: Page, password = 'holdfast'): Promise<{ status: number; code: string }> {
    const headers = { 'Content-Type': 'application/json' };
    const body = JSON.stringify({ name: 'alice', password });
    const response = await page.fetch('/login', { method: 'POST', headers, body });
    const { login_code: code = '' } = (await response.json()) as { login_code?: string };
    return { status: response.status, code };
  }

  function loginOf(page: Page): LoginClient {
    const login = createLogin({ url: new URL(gateway.url).origin, fetch: page.fetch });
    open.push(login);
    return login;
  }

  it('serves its page and the client', async () => {
    const page = new Page(example.origin);
    for (const [entry, name] of Object.entries({ client: 'createClient', 'client/login': 'createLogin' })) {
      const path = `/holdfast-client/${entry}/index.js`;
      expect((await page.visit('/')).text).toContain(path);
      expect((await page.visit(path)).text).toContain(name);
    }
  });

  it('logs a person in, who stays logged in until logging out', async () => {
    const page = new Page(example.origin);
    expect(await logIn(page, 'wrong')).toEqual({ status: 401, code: '' });
    await expect(loginOf(page).me()).rejects.toMatchObject({ code: 'no_login' });

    const { code } = await logIn(page);
    const login = loginOf(page);
    const [first, second] = await Promise.all([login.exchange(code), login.exchange(code)]);
    expect(first).toBe(second);
    expect(page.cookie('__Host-holdfast')).toMatch(/^hfr1\./);

    // What a reload finds.
    const reloaded = loginOf(page);
    expect(await reloaded.me()).toMatchObject({ principal: 'alice', state: 'active' });
    const { accessToken } = await reloaded.refresh();
    expect(accessToken).not.toBe('');

    const url = `${gateway.url.replace('http', 'ws')}v1/connect`;
    const client = createClient({ url, login: reloaded, WebSocket: page.WebSocket });
    open.push(client);
    const [room, elsewhere] = [client.session('room:1'), client.session('private:1')];
    await expect.poll(() => room.state.name).toBe('owner');
    await expect.poll(() => elsewhere.state).toMatchObject({ name: 'stopped', code: 'forbidden' });
    client.reconnect();
    await expect.poll(() => room.state.name).toBe('owner');

    await reloaded.logout();
    await expect.poll(() => client.connection).toEqual({ name: 'stopped', code: 4002 });
    expect(page.cookie('__Host-holdfast')).toBeUndefined();
    await expect(login.refresh()).rejects.toMatchObject({ code: 'no_login' });
  });

  it('gives a code that counts once, and only for its page', async () => {
    const page = new Page(example.origin);
    const { code } = await logIn(page);
    const thief = new Page('http://127.0.0.1:1');
    await expect(loginOf(thief).exchange(code)).rejects.toMatchObject({ code: 'invalid_login_code' });

    const { code: another } = await logIn(page);
    await loginOf(page).exchange(another);
    await expect(loginOf(page).exchange(another)).rejects.toMatchObject({ code: 'invalid_login_code' });
  });
});
