import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { type Client, createClient, type Session } from '../../src/client/index.js';
import { DevGateway } from '../support/dev-gateway.js';
import { ExampleProcess } from './example-process.js';
import { Page } from './page.js';

const API_KEY = 'example-api-key-8Qm3T0s5vXyR1uWb7cZdKf2g';

interface Said {
  prompt?: string;
  word?: string;
}

describe('the example with an agent', () => {
  let gateway: DevGateway;
  let example: ExampleProcess;
  let page: Page;
  const clients: Client[] = [];

  beforeAll(async () => {
    vi.stubEnv('HOLDFAST_API_KEY', API_KEY);
    gateway = await DevGateway.start();
    const env = { HOLDFAST_API_KEY: API_KEY, GATEWAY_URL: new URL(gateway.url).origin, PORT: '0' };
    example = await ExampleProcess.start('agent', env);
    page = new Page(example.origin);
  });

  afterEach(() => {
    for (const client of clients.splice(0)) client.close();
  });

  afterAll(async () => {
    vi.unstubAllEnvs();
    await example?.stop();
    await gateway?.stop();
  });

  /** What a tab of its page shows. */
  async function open(): Promise<{ session: Session; said: Said[] }> {
    const { session: id } = (await (await page.fetch('/settings')).json()) as { session: string };
    const client = createClient({
      url: `${gateway.url.replace('http', 'ws')}v1/connect`,
      WebSocket: page.WebSocket,
    });
    clients.push(client);
    const session = client.session(id, { claim: 'never', since: 'oldest' });
    const said: Said[] = [];
    session.on('message', ({ data }) => said.push(data as Said));
    return { session, said };
  }

  it('serves its page and the client', async () => {
    expect((await page.visit('/')).text).toContain('/holdfast-client/client/index.js');
    expect((await page.visit('/holdfast-client/client/index.js')).text).toContain('createClient');
  });

  it('streams its answer into the session, the same for who comes in the middle of it', async () => {
    const first = await open();
    await expect.poll(() => first.session.state.name).toBe('watching');
    const headers = { 'Content-Type': 'application/json' };
    const asked = await page.fetch('/ask', { method: 'POST', headers, body: JSON.stringify({ prompt: 'Hello' }) });
    expect(asked.status).toBe(202);
    const again = await page.fetch('/ask', { method: 'POST', headers, body: JSON.stringify({ prompt: 'Me too' }) });
    expect(again.status).toBe(409);
    await expect.poll(() => first.said.length).toBeGreaterThan(5);
    const second = await open();
    for (const { said } of [first, second]) {
      await expect.poll(() => said.map(({ word }) => word).join('')).toMatch(/^You said: Hello\. .*in order\.$/);
      expect(said[0]).toEqual({ prompt: 'Hello' });
    }
    expect(second.said).toEqual(first.said);
    expect((await page.fetch('/ask', { method: 'POST', headers, body: '{}' })).status).toBe(400);
  });
});
