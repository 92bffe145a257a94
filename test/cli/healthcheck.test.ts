import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { freePorts } from '../support/ports.js';
import { holdfast, Running } from './run-holdfast.js';

async function serve(listener: RequestListener, host = '127.0.0.1'): Promise<string> {
  const server = createServer(listener).listen(0, host);
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  await once(server, 'listening');
  return `${(server.address() as AddressInfo).port}`;
}

const answerByPath: RequestListener = ({ url }, response) => {
  response.statusCode = url === '/livez' ? 200 : 503;
  response.end(url === '/livez' ? 'live' : '{"status":"not_ready",\n"reasons":["draining"]}');
};

describe('healthcheck', () => {
  it('says nothing of a gateway that lives, wherever it listens', async () => {
    const ended = ['127.0.0.1', '0.0.0.0', '::1'].map(async (host) => {
      const HOLDFAST_INTERNAL_PORT = await serve(answerByPath, host);
      return holdfast(['healthcheck'], { HOLDFAST_INTERNAL_HOST: host, HOLDFAST_INTERNAL_PORT });
    });
    for (const one of ended) expect(await one).toMatchObject({ code: 0, stdout: '', stderr: '' });
  });

  it('fails in one line when it is not ready, and that was asked', async () => {
    const port = await serve(answerByPath);
    const { code, stderr } = await holdfast(['healthcheck', '--ready', '--internal-port', port]);
    expect(code).toBe(1);
    expect(stderr).toBe(
      `holdfast: http://127.0.0.1:${port}/readyz: 503 {"status":"not_ready", "reasons":["draining"]}\n`,
    );
  });

  it('fails when nobody listens', async () => {
    const [port] = await freePorts(1);
    const { code, stderr } = await holdfast(['healthcheck', '--internal-port', `${port}`]);
    expect([code, stderr]).toEqual([
      1,
      `holdfast: http://127.0.0.1:${port}/livez: connect ECONNREFUSED 127.0.0.1:${port}\n`,
    ]);
  });

  it('waits two seconds and no longer', async () => {
    const port = await serve(() => {});
    const startedMs = performance.now();
    const { code, stderr } = await holdfast(['healthcheck', '--internal-port', port]);
    expect([code, stderr]).toEqual([1, `holdfast: http://127.0.0.1:${port}/livez: no answer within 2 s\n`]);
    expect(performance.now() - startedMs).toBeGreaterThan(2_000);
  });
});

describe('playground', () => {
  const KEY = 'an-api-key-of-at-least-32-characters';

  it('serves the page, and creates logins with the API key', async () => {
    const asked: (string | undefined)[] = [];
    const gateway = await serve(({ method, url, headers }, response) => {
      asked.push(`${method} ${url}`, headers.authorization);
      response.writeHead(201, { 'Content-Type': 'application/json' }).end('{"login_code":"code"}');
    });
    const [port] = await freePorts(1);
    const args = ['playground', '--gateway', `http://127.0.0.1:${gateway}`, '--host', '127.0.0.1', '--port', `${port}`];
    const page = new Running(args, { HOLDFAST_API_KEY: KEY });
    await page.says(/page served/);
    const url = `http://127.0.0.1:${port}`;
    expect(await (await fetch(url)).text()).toContain('<title>');
    expect((await fetch(`${url}/web/demo.js`)).status).toBe(200);
    const login = await fetch(`${url}/playground/logins`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: '{"name":"alice"}',
    });
    expect([login.status, await login.json()]).toEqual([201, { login_code: 'code' }]);
    expect(asked).toEqual(['POST /v1/logins', `Bearer ${KEY}`]);
    page.child.kill('SIGTERM');
    expect((await page.ended).code).toBe(0);
  });

  it('says what it needs', async () => {
    expect((await holdfast(['playground'])).stderr).toMatch(/^holdfast: HOLDFAST_API_KEY is missing: .*\n$/);
    const { stderr } = await holdfast(['playground', '--gateway', 'haproxy'], { HOLDFAST_API_KEY: KEY });
    expect(stderr).toBe('holdfast: --gateway: url must begin with http:// or https://\n');
  });
});
