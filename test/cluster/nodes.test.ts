import { describe, expect, test } from 'vitest';
import { Running } from '../cli/run-holdfast.js';
import type { GatewayProcess } from '../support/gateway-process.js';
import { RawClient, tokenOf, UpgradeRefused } from '../support/raw-client.js';
import { newSession, own, useCluster } from './use-cluster.js';

const ADMIN_KEY = 'the-admin-key-of-the-cluster-of-the-tests';

interface Status {
  status: string;
  reasons: string[];
  connections: number;
  drain: { state: string; total: number; left: number; started_at?: string };
}

async function statusOf(node: GatewayProcess): Promise<Status> {
  return (await (await fetch(`${node.internalUrl}/statusz`)).json()) as Status;
}

function refused(node: GatewayProcess): Promise<unknown> {
  return RawClient.open(node.connectUrl).catch((error: unknown) => error);
}

describe('the commands for nodes', () => {
  const cluster = useCluster({ env: { HOLDFAST_ADMIN_KEY: ADMIN_KEY } });

  /** A command from a machine that knows nothing of the nodes but their Redis. */
  async function holdfast(...args: string[]) {
    const [{ redisUrl, redisPrefix }] = cluster().nodes as [GatewayProcess];
    const command = new Running([...args, '--redis-url', redisUrl, '--redis-prefix', redisPrefix], {});
    const { code, stdout, stderr } = await command.ended;
    return { code, lines: stdout.trim().split('\n'), stderr };
  }

  test('drain moves the owners of a node away, undrain brings the node back', async () => {
    const session = newSession();
    const owner = await cluster().connect(0);
    const { token } = await own(owner, session);
    const [drained, moved] = await Promise.all([
      holdfast('drain', 'n1'),
      owner.whenClosed.then(async (close) => {
        expect(close).toMatchObject({ code: 1012 });
        const ack = await (await cluster().connect(1)).subscribe(session, { reconnect_token: token });
        return tokenOf(ack);
      }),
    ]);
    expect(moved).not.toBe(token);
    expect(owner.all('reconnect')).toMatchObject([{ reason: 'drain' }, { reason: 'drain', after_ms: 0, jitter_ms: 0 }]);
    expect(drained).toMatchObject({ code: 0, stderr: '' });
    expect(drained.lines.at(-1)).toBe('n1: drained, 0 connections left');

    const node = cluster().node(0);
    expect(await statusOf(node)).toMatchObject({
      status: 'drained',
      reasons: ['draining'],
      drain: { state: 'drained', total: 1, left: 0, started_at: expect.stringMatching(/^2.*Z$/) },
    });
    expect(await refused(node)).toMatchObject({ status: 503, retryAfter: '1' });
    expect(await node.isReady()).toBe(false);

    expect(await holdfast('undrain', 'n1')).toMatchObject({ code: 0, lines: ['n1: ready, 0 connections'] });
    await cluster().connect(0);
    expect(await statusOf(node)).toMatchObject({ status: 'ready', drain: { state: 'none' } });
  });

  test('rebalance evens out 60 connections at its rate', async () => {
    const moves: { atMs: number; reason: string | undefined }[] = [];
    const stay = async (index: number): Promise<void> => {
      const client = await cluster().connect(index);
      void client.whenClosed.then(async ({ code, atMs }) => {
        if (code !== 1012) return;
        moves.push({ atMs, reason: client.all('reconnect').at(-1)?.reason });
        await stay(1 + (moves.length % 2));
      });
    };
    await Promise.all(Array.from({ length: 60 }, () => stay(0)));
    await expect.poll(async () => (await holdfast('nodes')).lines[1]).toMatch(/^n1 +ready +60 /);

    const { code, lines, stderr } = await holdfast('rebalance', '--max-rate', '80');
    expect([code, stderr]).toEqual([0, '']);
    expect(lines[0]).toBe('round 1: n1 60, n2 0, n3 0');
    expect(lines.at(-1)).toBe('even: n1 20, n2 20, n3 20');
    expect(moves).toHaveLength(40);
    expect(new Set(moves.map(({ reason }) => reason))).toEqual(new Set(['rebalance']));
    const [first, last] = [moves[0]?.atMs ?? 0, moves.at(-1)?.atMs ?? 0];
    expect(last - first).toBeGreaterThan(400);
    for (const node of cluster().nodes) expect((await statusOf(node)).connections).toBe(20);
  });

  test('the internal port drains a node for who has the admin key', async () => {
    const node = cluster().node(2);
    const post = (path: string, key: string) =>
      fetch(`${node.internalUrl}${path}`, { method: 'POST', headers: { authorization: `Bearer ${key}` } });
    expect((await post('/drain', 'another')).status).toBe(401);
    expect(await (await post('/drain', ADMIN_KEY)).json()).toMatchObject({ drain: { total: 0 } });
    expect(await refused(node)).toBeInstanceOf(UpgradeRefused);
    expect((await post('/undrain', ADMIN_KEY)).status).toBe(202);
    await cluster().connect(2);
  });
});
