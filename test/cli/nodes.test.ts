import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { NodeReport } from '../../src/ops/ports.js';
import { redisNodes } from '../contract/node-registry-redis-harness.js';
import { testRedis } from '../support/redis.js';
import { holdfast } from './run-holdfast.js';

const COMMANDS = [['nodes'], ['rebalance', '--max-rate', '10']];

function report(nodeId: string, bootId: string, rest: Partial<NodeReport> = {}): NodeReport {
  const base = { version: '1.2.3', state: 'ready', connections: 12, leases: 5, configFingerprint: 'ab12' } as const;
  return { nodeId, bootId, ...base, ...rest };
}

describe('commands for nodes', () => {
  let harness: Awaited<ReturnType<typeof redisNodes>>;
  const run = (...args: string[]) => {
    const { prefix } = harness.connection.keys;
    return holdfast([...args, '--redis-url', testRedis().url, '--redis-prefix', prefix]);
  };

  beforeAll(async () => {
    harness = await redisNodes(testRedis().url);
  });

  afterAll(() => harness.close());

  it.each(COMMANDS.map((command) => [command] as const))('%j needs to know the Redis', async (command) => {
    const { code, stdout, stderr } = await holdfast(command);
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(/^holdfast: --redis-url or HOLDFAST_REDIS_URL is missing: .*\n$/);
  });

  it('say what there is not', async () => {
    expect(await run('nodes')).toMatchObject({ code: 0, stdout: 'There are no nodes.\n', stderr: '' });
    const drained = await run('drain', 'n1');
    expect(drained).toMatchObject({ code: 1, stderr: 'holdfast: there is no node n1, nor any other\n' });
    const balanced = await run('rebalance', '--max-rate', '5');
    expect(balanced).toMatchObject({ code: 0, stdout: 'even: no node is ready\n' });
  });

  it('list nodes as a table and as JSON, lost ones too, which none can be drained of', async () => {
    const lost = report('n2', 'b-2');
    await harness.nodes.beat(report('n1', 'b-1', { state: 'draining' }));
    await harness.nodes.beat(lost);
    await harness.age(lost, 60_000);
    const lines = (await run('nodes')).stdout.split('\n').map((line) => line.trim().split(/ {2,}/));
    expect(lines).toEqual([
      ['node', 'state', 'connections', 'leases', 'version', 'settings', 'boot', 'heard of'],
      ['n1', 'draining', '12', '5', '1.2.3', 'ab12', 'b-1', expect.stringMatching(/^\d s ago$/)],
      ['n2', 'lost', '12', '5', '1.2.3', 'ab12', 'b-2', expect.stringMatching(/^6\d s ago$/)],
      [''],
    ]);
    expect(JSON.parse((await run('nodes', '--json')).stdout)).toMatchObject([{ nodeId: 'n1' }, { nodeId: 'n2' }]);
    expect((await run('drain', 'n2')).stderr).toContain('there is no node n2; there are n1');
  });

  it('refuse a name that two nodes have', async () => {
    const twins = [report('twin', 'b-3'), report('twin', 'b-4')];
    const beat = () => Promise.all(twins.map((twin) => harness.nodes.beat(twin)));
    await beat();
    const beating = setInterval(() => void beat(), 100);
    try {
      expect(await run('drain', 'twin')).toMatchObject({
        code: 1,
        stderr: expect.stringContaining('more than one node is called twin'),
      });
    } finally {
      clearInterval(beating);
    }
  });

  it('take a node for gone that was started again under its name', async () => {
    const killed = report('n6', 'b-6');
    await harness.nodes.beat(killed);
    await harness.age(killed, 5_500);
    await harness.nodes.beat(report('n6', 'b-7'));
    expect(await run('undrain', 'n6')).toMatchObject({ code: 0, stdout: 'n6 is not drained\n' });
  });

  it('undrain a node that has not said yet that it drains', async () => {
    const { commands, keys } = harness.connection;
    await harness.nodes.beat(report('n5', 'b-5'));
    expect(await run('undrain', 'n5')).toMatchObject({ code: 0, stdout: 'n5 is not drained\n' });
    const [last] = await commands.xrevrange(keys.control, '+', '-', 'COUNT', 1);
    expect(JSON.parse(last?.[1][1] ?? '')).toEqual({ kind: 'node_undrain', bootId: 'b-5' });
  });

  it.each(['0', 'fast', '-1', ''])('refuse a rate of %j', async (rate) => {
    expect(await run('rebalance', '--max-rate', rate)).toMatchObject({ code: 2 });
  });
});

it('keygen prints an admin key that serve takes', async () => {
  const { stdout } = await holdfast(['keygen', '--admin-key']);
  const [, key = ''] = /^HOLDFAST_ADMIN_KEY=(\S{43})\n$/.exec(stdout) ?? [];
  const env = { HOLDFAST_SECRET: 'a-secret-for-the-tests-of-the-cli-only', HOLDFAST_ADMIN_KEY: key };
  const args = ['--auth', 'anonymous', '--access', 'open'];
  expect(await holdfast(['check-config', ...args], env)).toMatchObject({ code: 0, stderr: '' });
  const same = { ...env, HOLDFAST_SECRET: key };
  expect((await holdfast(['check-config', ...args], same)).stderr).toContain('must differ');
});
