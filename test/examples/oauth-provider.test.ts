import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { CLIENT } from '../../examples/oauth-provider/provider.js';
import { createClient } from '../../src/client/index.js';
import { createLogin } from '../../src/client/login/index.js';
import { DevGateway } from '../support/dev-gateway.js';
import { freePorts } from '../support/ports.js';
import { ExampleProcess } from './example-process.js';
import { Page } from './page.js';

const API_KEY = 'example-api-key-8Qm3T0s5vXyR1uWb7cZdKf2g';

describe('the example with an OAuth provider', () => {
  let gateway: DevGateway;
  let example: ExampleProcess;

  beforeAll(async () => {
    const [port = 0, providerPort = 0] = await freePorts(2);
    vi.stubEnv('HOLDFAST_API_KEY', API_KEY);
    vi.stubEnv('HOLDFAST_UPSTREAM_CLIENT_SECRET', CLIENT.secret);
    const upstream = ['--upstream-token-url', `http://127.0.0.1:${providerPort}/token`];
    gateway = await DevGateway.start('--auth', 'login', ...upstream, '--upstream-client-id', CLIENT.id);
    example = await ExampleProcess.start('oauth-provider', {
      HOLDFAST_API_KEY: API_KEY,
      GATEWAY_URL: new URL(gateway.url).origin,
      PORT: String(port),
      PROVIDER_PORT: String(providerPort),
    });
  });

  afterAll(async () => {
    vi.unstubAllEnvs();
    await example?.stop();
    await gateway?.stop();
  });

  /** Fills in the provider's form. */
  async function submit(page: Page, form: { url: string; text: string }, fields: Record<string, string>) {
    const action = /<form[^>]* action="([^"]+)"/.exec(form.text)?.[1] ?? '';
    const body = new URLSearchParams(fields);
    return page.visit(new URL(action, form.url).href, { method: 'POST', body });
  }

  it('logs in at the provider, and uses its tokens through the gateway', async () => {
    const page = new Page(example.origin);
    const signIn = await page.visit('/login');
    const consent = await submit(page, signIn, { prompt: 'login', login: 'alice', password: 'any' });
    const arrived = await submit(page, consent, { prompt: 'consent' });
    expect(arrived.url).toBe(`${example.origin}/`);
    expect(page.cookie('login_code')).toMatch(/^hfc_/);

    const answer = await page.fetch('/login-code', { method: 'POST' });
    const { login_code } = (await answer.json()) as { login_code: string };
    expect(page.cookie('login_code')).toBeUndefined();
    const login = createLogin({ url: example.origin, fetch: page.fetch });
    await login.exchange(login_code);
    expect(await login.me()).toMatchObject({ principal: 'alice' });

    const url = `${gateway.url.replace('http', 'ws')}v1/connect`;
    const client = createClient({ url, login, WebSocket: page.WebSocket });
    const room = client.session('room:1');
    await expect.poll(() => room.state.name).toBe('owner');

    const profile = async () => {
      const headers = { Authorization: `Bearer ${await login.accessToken()}` };
      return (await page.fetch('/profile', { headers })).json();
    };
    const all = await Promise.all(Array.from({ length: 10 }, profile));
    expect(all).toEqual(Array.from({ length: 10 }, () => ({ sub: 'alice' })));
    // Only the backend may have the provider's token.
    await expect(login.upstream()).rejects.toMatchObject({ code: 'forbidden' });

    await login.logout();
    await expect.poll(() => client.connection).toEqual({ name: 'stopped', code: 4002 });
    client.close();
    login.close();
  });
});
