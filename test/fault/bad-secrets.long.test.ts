/** A node that was given another secret than the rest. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Running } from '../cli/run-holdfast.js';
import { type GatewayProcess, startGateway } from '../support/gateway-process.js';
import { freePorts } from '../support/ports.js';
import { type PrivateRedis, startPrivateRedis } from '../support/redis-process.js';
import { lasting, readiness, written } from './surroundings.js';

let redis: PrivateRedis;
let nodes: readonly GatewayProcess[];

beforeAll(async () => {
  redis = await startPrivateRedis();
  const common = { redisUrl: redis.url, redisPrefix: 'hf', graceMs: 30_000 };
  nodes = await Promise.all(['n1', 'n2'].map((nodeId) => startGateway({ nodeId, ...common })));
});

afterAll(async () => {
  await Promise.all(nodes.map((node) => node.stop()));
  await redis.stop();
});

test('it is not ready, the others stay, all say so once, and it passes with it', async () => {
  // As registered, for those that come later.
  await lasting('ready', async () => (await readiness(nodes[0] as GatewayProcess)).http === 200, 1_000);
  const [port, internalPort] = await freePorts(2);
  const ports = ['--host', '127.0.0.1', '--port', `${port}`, '--internal-port', `${internalPort}`];
  const store = ['--redis-url', redis.url, '--redis-prefix', 'hf'];
  const wrong = new Running(
    ['serve', ...ports, ...store, '--node-id', 'n3', '--auth', 'anonymous', '--access', 'open'],
    {
      HOLDFAST_SECRET: 'another-8Qm3T0s5vXyR1uWb7cZdKf2gHjLnPq4rAeBtCv',
    },
  );
  const at = { internalUrl: `http://127.0.0.1:${internalPort}` };
  const out = { http: 503, reasons: ['secrets_differ'], degraded: [] };
  const degraded = { http: 200, reasons: [], degraded: ['secrets_differ'] };
  try {
    await wrong.says(/"listening"/);
    expect(await readiness(at)).toEqual(out);
    for (const node of nodes) {
      await expect.poll(() => readiness(node), { timeout: 25_000 }).toEqual(degraded);
    }
    expect(await readiness(at)).toEqual(out);
    const told = wrong.stdout.split('\n').filter((line) => line.includes('"code":"secrets_differ"'));
    expect(told).toEqual([expect.stringContaining('this one is not ready: give it their HOLDFAST_SECRET')]);
  } finally {
    wrong.child.kill('SIGTERM');
    await wrong.ended;
  }
  for (const node of nodes) {
    await node.untilReady(30_000);
    expect((await written(node, 'secrets_differ', 2)).map(({ level }) => level)).toEqual(['error', 'info']);
    expect(node.rawLog).not.toContain('8Qm3T0s5vXyR1uWb7cZdKf2g');
  }
}, 90_000);
