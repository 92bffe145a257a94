/** A node that may open too few files: it takes what fits, keeps what is open, and says so. */
import { execFileSync, spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { Agent, get } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterEach, expect, test } from 'vitest';
import { endChild, spawnTied } from '../support/child-process.js';
import { type GatewayProcess, SECRETS, startGateway } from '../support/gateway-process.js';
import { freePorts } from '../support/ports.js';
import { RawClient } from '../support/raw-client.js';
import { type PrivateRedis, startPrivateRedis } from '../support/redis-process.js';
import { lasting, linesOf, type Readiness, readiness, written } from './surroundings.js';

const MAIN = fileURLToPath(new URL('../../dist/main.js', import.meta.url));
const noLimits = spawnSync('prlimit', ['--version']).status !== 0 && process.env['CI'] !== 'true';

let redis: PrivateRedis | undefined;
let node: GatewayProcess | undefined;

afterEach(async () => {
  await node?.stop();
  await redis?.stop();
  node = undefined;
});

/** Over a connection that stands already: a new one cannot be accepted. */
function standing(internalUrl: string): { readiness(): Promise<Readiness>; close(): void } {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  return {
    readiness: () =>
      new Promise((resolve, reject) => {
        get(`${internalUrl}/readyz`, { agent }, (answer) => {
          let text = '';
          answer.on('data', (chunk: Buffer) => {
            text += chunk.toString();
          });
          answer.on('end', () => resolve({ http: answer.statusCode, ...JSON.parse(text) }));
        }).on('error', reject);
      }),
    close: () => agent.destroy(),
  };
}

/** A limit at which nothing more can be opened: descriptors are given out from the lowest that is free. */
function lowestFree(pid: number): number {
  const open = new Set(readdirSync(`/proc/${pid}/fd`));
  for (let file = 0; ; file += 1) if (!open.has(`${file}`)) return file;
}

test.skipIf(noLimits)(
  'no file is left while it runs (skipped without prlimit)',
  async () => {
    redis = await startPrivateRedis();
    node = await startGateway({ nodeId: 'n1', redisUrl: redis.url, redisPrefix: 'hf', graceMs: 30_000 });
    const { pid, connectUrl, internalUrl } = node;
    const resident = await RawClient.connect(connectUrl);
    expect(await resident.subscribe('files:1')).toMatchObject({ owner: true });
    const probe = standing(internalUrl);
    expect(await probe.readiness()).toMatchObject({ http: 200 });

    execFileSync('prlimit', ['--pid', `${pid}`, `--nofile=${lowestFree(pid)}:`]);
    const cpuBefore = cpuSeconds(pid);
    for (let attempt = 0; attempt < 20; attempt += 1) {
      await expect(RawClient.connect(connectUrl, { timeoutMs: 3_000 })).rejects.toThrow();
    }
    await sleep(3_000);
    expect(cpuSeconds(pid) - cpuBefore).toBeLessThan(2);
    expect(await probe.readiness()).toMatchObject({ http: 503, reasons: ['file_descriptors'] });
    // What is open goes on.
    expect(await resident.request({ type: 'send', session_id: 'files:1', data: 1 })).toMatchObject({
      type: 'send_ack',
    });
    expect(linesOf(node, 'file_descriptors').map(({ level }) => level)).toEqual([...warned(node), 'error']);

    execFileSync('prlimit', ['--pid', `${pid}`, '--nofile=4096:']);
    await node.untilReady(30_000);
    (await RawClient.connect(connectUrl)).socket.terminate();
    const lines = await written(node, 'file_descriptors', warned(node).length + 2);
    expect(lines.at(-1)).toMatchObject({ level: 'info' });
    expect(resident.closed).toBeUndefined();
    node.check();
    probe.close();
    resident.socket.terminate();
  },
  90_000,
);

test('fewer files than connections: what fits is taken, the rest told 503, and there is room for Redis', async () => {
  redis = await startPrivateRedis();
  const [port = 0, internalPort = 0] = await freePorts(2);
  const own = ['--host', '127.0.0.1', '--port', `${port}`, '--internal-port', `${internalPort}`];
  const args = [
    ...own,
    '--redis-url',
    redis.url,
    '--auth',
    'anonymous',
    '--access',
    'open',
    '--max-connections',
    '1000',
  ];
  const limited = ['sh', '-c', 'ulimit -n 256; exec "$@"', 'sh', process.execPath, MAIN, 'serve', ...args];
  const child = spawnTied(limited, { env: { ...process.env, ...SECRETS }, stdio: ['ignore', 'pipe', 'inherit'] });
  const clients: RawClient[] = [];
  try {
    const at = { internalUrl: `http://127.0.0.1:${internalPort}` };
    let log = '';
    child.stdout?.on('data', (chunk: Buffer) => {
      log += chunk.toString();
    });
    await lasting('ready', async () => (await readiness(at)).http === 200, 0);
    const refusals: unknown[] = [];
    for (let n = 0; n < 220; n += 1) {
      await RawClient.connect(`ws://127.0.0.1:${port}/v1/connect`).then(
        (client) => clients.push(client),
        (error: unknown) => refusals.push(error),
      );
    }
    expect([clients.length, refusals.length]).toEqual([192, 28]);
    for (const error of refusals) expect(error).toMatchObject({ status: 503, retryAfter: '5' });
    expect(await readiness(at)).toEqual({ http: 503, reasons: ['file_descriptors'], degraded: [] });
    expect(await clients[0]?.subscribe('files:1')).toMatchObject({ owner: true });
    const metrics = await (await fetch(`${at.internalUrl}/metrics`)).text();
    expect(metrics).toContain('holdfast_max_connections 192\n');
    for (const client of clients.splice(0, 20)) client.socket.terminate();
    await lasting('ready again', async () => (await readiness(at)).http === 200, 1_000);
    const told = log.split('\n').filter((line) => line.includes('"code":"file_descriptors"'));
    expect(told).toEqual([expect.stringContaining('"limit":256,"connections":192,"max_connections":1000')]);
  } finally {
    for (const client of clients) client.socket.terminate();
    await endChild(child, 'SIGKILL', 1_000);
  }
}, 60_000);

/** The machine itself may allow fewer files than the default of `--max-connections`. */
function warned(of: GatewayProcess): string[] {
  return of.log.some(({ msg }) => msg?.startsWith('too few files may be open')) ? ['warn'] : [];
}

function cpuSeconds(pid: number): number {
  const [user, system] = execFileSync('cat', [`/proc/${pid}/stat`], { encoding: 'utf8' })
    .replace(/^.*\) /, '')
    .split(' ')
    .slice(11, 13)
    .map(Number) as [number, number];
  return (user + system) / 100;
}
