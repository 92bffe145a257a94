import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { freePorts } from '../support/ports.js';
import { RawClient } from '../support/raw-client.js';
import { holdfast, Running } from './run-holdfast.js';

const SECRET = { HOLDFAST_SECRET: 'a-secret-for-the-tests-of-the-cli-only' };
const ANY_PORT = ['--port', '0', '--internal-port', '0'];
const SERVE = ['serve', '--host', '127.0.0.1', '--auth', 'anonymous', '--access', 'open'];

const running: Running[] = [];
afterEach(async () => {
  for (const one of running.splice(0)) {
    one.child.kill('SIGKILL');
    await one.ended;
  }
});

function start(args: readonly string[], env: Record<string, string> = {}): Running {
  const one = new Running(args, env);
  running.push(one);
  return one;
}

async function startServe(...args: string[]): Promise<{ gateway: Running; address: string }> {
  const gateway = start([...SERVE, ...ANY_PORT, ...args], SECRET);
  const [, address = ''] = await gateway.says(/"address":"([^"]+)"/);
  return { gateway, address };
}

describe('dev', () => {
  it('serves the page and everything that the page loads, and prints where', async () => {
    const gateway = start(['dev', ...ANY_PORT]);
    const [, url = ''] = await gateway.says(/(http:\/\/127\.0\.0\.1:\d+)\//);
    await gateway.says(/Ctrl-C/);
    const loaded = new Set([`${url}/`]);
    for (const link of loaded) {
      const response = await fetch(link);
      expect([link, response.status]).toEqual([link, 200]);
      for (const [, target = ''] of (await response.text()).matchAll(/(?:(?:src|href)=|from )["']([^"'#]+)["']/g)) {
        loaded.add(new URL(target, link).href);
      }
    }
    expect([...loaded].some((link) => link.endsWith('/client/index.js'))).toBe(true);

    const [, ready = ''] = await gateway.says(/(http:\S+\/readyz)/);
    expect((await fetch(ready)).status).toBe(200);
    gateway.child.kill('SIGINT');
    expect(await gateway.ended).toMatchObject({ code: 0, signal: null, stderr: '' });
  });

  it('says what its settings allow, and nothing else', async () => {
    const open = start(['dev', ...ANY_PORT]);
    const rules = start(['dev', ...ANY_PORT, '--auth', 'login', '--access', 'rules']);
    await Promise.all([open.says(/Ctrl-C/), rules.says(/Ctrl-C/)]);
    for (const { stdout } of [open, rules]) expect(stdout).toContain('Log in there with any name');
    expect(open.stdout).toMatch(/wscat[^]*everybody may do everything/);
    expect(rules.stdout).not.toMatch(/wscat|everybody/);
    expect(rules.stdout).toContain('access goes by rules');
  });

  it('logs in whoever says a name, with the right to use the page also under rules', async () => {
    const gateway = start(['dev', ...ANY_PORT, '--auth', 'login', '--access', 'rules']);
    const [, address = ''] = await gateway.says(/http:\/\/(127\.0\.0\.1:\d+)\//);
    const post = async (path: string, body: object): Promise<Record<string, string>> => {
      const headers = { 'Content-Type': 'application/json' };
      const response = await fetch(`http://${address}${path}`, { method: 'POST', headers, body: JSON.stringify(body) });
      return (await response.json()) as Record<string, string>;
    };
    const { login_code } = await post('/playground/logins', { name: 'alice' });
    const { refresh_token } = await post('/v1/auth/exchange', { login_code });
    const { ticket = '' } = await post('/v1/auth/ticket', { refresh_token });
    const client = await RawClient.connect(`ws://${address}/v1/connect`, { ticket });
    expect(await client.subscribe('demo:1')).toMatchObject({ owner: true });
    client.terminate();
  });
});

describe('signals', () => {
  it('drain and exit with 0 before the deadline', async () => {
    const { gateway, address } = await startServe('--drain-ms', '1000');
    const client = await RawClient.connect(`ws://${address}/v1/connect`);
    const startedMs = performance.now();
    gateway.child.kill('SIGTERM');
    expect(await gateway.ended).toMatchObject({ code: 0, signal: null });
    expect(performance.now() - startedMs).toBeLessThan(3_000);
    expect(client.frames.map(({ message }) => message.type)).toContain('reconnect');
  });

  it.each([
    ['SIGTERM', 143],
    ['SIGINT', 130],
  ] as const)('a second %s exits at once', async (signal, code) => {
    const { gateway, address } = await startServe('--drain-ms', '60000');
    // It never answers the close, so that the drain has to wait for it.
    (await RawClient.connect(`ws://${address}/v1/connect`)).stopReading();
    gateway.child.kill('SIGTERM');
    await gateway.says(/drain started/);
    const startedMs = performance.now();
    gateway.child.kill(signal);
    expect(await gateway.ended).toMatchObject({ code, signal: null });
    expect(performance.now() - startedMs).toBeLessThan(2_000);
  });
});

describe('a start that fails', () => {
  it.each(['--port', '--internal-port'])('says in one line that the port of %s is in use', async (flag) => {
    const taken = createServer().listen(0, '127.0.0.1');
    await once(taken, 'listening');
    const { port } = taken.address() as AddressInfo;
    const { code, stderr } = await holdfast([...SERVE, ...ANY_PORT, flag, `${port}`], SECRET);
    taken.close();
    expect(code).toBe(1);
    expect(stderr).toMatch(/^holdfast: .*\n$/);
    expect(stderr).toContain(`127.0.0.1:${port} is in use`);
  });

  it('says in one line that the address is not of this machine', async () => {
    const { code, stderr } = await holdfast([...SERVE, ...ANY_PORT, '--host', '192.0.2.1'], SECRET);
    expect([code, stderr.split('\n').length]).toEqual([1, 2]);
    expect(stderr).toContain('no address 192.0.2.1');
  });

  it('says in one line that Redis is not there, without its password', async () => {
    const [port = 0] = await freePorts(1);
    const url = `redis://user:hush@127.0.0.1:${port}`;
    const { code, stderr } = await holdfast([...SERVE, ...ANY_PORT, '--redis-url', url], SECRET);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^holdfast: Redis .*\n$/);
    expect(stderr).not.toContain('hush');
  });
});
