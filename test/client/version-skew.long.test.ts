import { SignJWT } from 'jose';
import { afterEach, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import type { Client, Session } from '../../src/client/index.js';
import * as present from '../../src/client/index.js';
import { newSession, useCluster } from '../cluster/use-cluster.js';
import { bothMains, noPrevious, previous, withPrevious } from '../cluster/version-skew.js';
import { type GatewayProcess, MAIN, SECRETS } from '../support/gateway-process.js';
import { historyOf, publish } from '../support/message-calls.js';
import { TcpProxy } from '../support/tcp-proxy.js';

type Version = 'old' | 'new';

const open: Client[] = [];

afterEach(() => {
  for (const client of open.splice(0)) client.close();
});

/** The principal has to stay the same over connections: a repeated message is one within a principal. */
const getAccessToken = () =>
  new SignJWT({})
    .setProtectedHeader({ alg: 'HS256' })
    .setSubject('alice')
    .setExpirationTime('10m')
    .sign(new TextEncoder().encode(SECRETS.HOLDFAST_JWT_SECRET));

async function clientOf(version: Version, url: string | readonly string[]): Promise<Client> {
  const old = () => import(previous().module('client/index.js')) as Promise<typeof present>;
  const { createClient } = version === 'new' ? present : await old();
  const client = createClient({ url, WebSocket, getAccessToken });
  open.push(client);
  return client;
}

/** Collects the session's messages from its first one on. */
function collected(session: Session): unknown[] {
  const data: unknown[] = [];
  session.on('message', (message) => data.push(message.data));
  return data;
}

const SOON = { timeout: 10_000 };

const upTo = (count: number) => Array.from({ length: count }, (_, i) => i + 1);

describe.skipIf(noPrevious)(withPrevious('a client of another version than its gateway'), { timeout: 60_000 }, () => {
  const cluster = useCluster(async () => ({
    nodes: 2,
    mains: bothMains(),
    graceMs: 5_000,
    args: ['--auth', 'jwt', '--access', 'open'],
  }));

  test.each<[Version, string, number]>([
    ['old', 'new', 1],
    ['new', 'old', 0],
  ])(
    'of the %s version owns, sends, loses its connection, reclaims and recovers at the %s one',
    async (version, _, node) => {
      const proxy = await TcpProxy.start(cluster().node(node).port);
      try {
        const client = await clientOf(version, `ws://127.0.0.1:${proxy.port}/v1/connect`);
        const watching = await clientOf(version, cluster().node(node).connectUrl);
        const id = newSession();
        const session = client.session(id);
        const data = collected(session);
        await expect.poll(() => session.state.name, SOON).toBe('owner');
        const watcher = watching.session(id, { claim: 'never' });
        const seen = collected(watcher);
        await expect.poll(() => watcher.state.name, SOON).toBe('watching');
        await session.send(1);

        const states: string[] = [];
        session.on('state', ({ state }) => states.push(state.name));
        proxy.refuse();
        proxy.killConnections();
        await expect.poll(() => watcher.state.name, SOON).toBe('held_by_other');
        const later = session.send(3);
        await publish(cluster().node(1 - node), id, { data: 2 });
        await proxy.accept();
        await later;
        await expect.poll(() => session.state.name, SOON).toBe('owner');
        expect(states).toEqual(['reconnecting', 'owner']);
        await expect.poll(() => [data, seen], SOON).toEqual([upTo(3), upTo(3)]);
        await session.release();
        await expect.poll(() => watcher.state, SOON).toMatchObject({ name: 'watching', ownership: { state: 'free' } });
        await watcher.claim();
        await expect.poll(() => session.state, SOON).toMatchObject({ name: 'watching', ownership: { state: 'owned' } });
      } finally {
        await proxy.stop();
      }
    },
  );
});

describe.skipIf(noPrevious)(withPrevious('an upgrade node by node, and back'), () => {
  const cluster = useCluster(async () => ({
    nodes: 3,
    mains: Array.from({ length: 3 }, () => previous().main),
    graceMs: 5_000,
    args: ['--auth', 'jwt', '--access', 'open', '--drain-ms', '2000'],
  }));

  async function replace(node: GatewayProcess, main: string): Promise<void> {
    expect(await node.stop()).toEqual({ code: 0, signal: null });
    node.main = main;
    await node.start();
  }

  test('under clients of both versions loses no session and no message', async () => {
    const urls = cluster().nodes.map(({ connectUrl }) => connectUrl);
    const versions: Version[] = ['old', 'new', 'old', 'new', 'old', 'new'];
    const owners = await Promise.all(
      versions.map(async (version, i) => {
        const ring = [...urls.slice(i % 3), ...urls.slice(0, i % 3)];
        const session = (await clientOf(version, ring)).session(newSession());
        const data = collected(session);
        await expect.poll(() => session.state.name, SOON).toBe('owner');
        const states: string[] = [];
        session.on('state', ({ state }) => states.push(state.name));
        return { session, states, data };
      }),
    );
    let over = false;
    const sending = owners.map(async ({ session }) => {
      for (let n = 1; ; n += 1) {
        await session.send(n);
        if (over) return n;
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    });

    for (const main of [MAIN, previous().main]) for (const node of cluster().nodes) await replace(node, main);
    over = true;
    const sent = await Promise.all(sending);

    for (const [i, { session, states, data }] of owners.entries()) {
      const all = upTo(sent[i] ?? 0);
      expect(states).toContain('reconnecting');
      // Whoever was not the owner at once on its return had lost the session.
      expect(new Set(states)).toEqual(new Set(['owner', 'reconnecting']));
      await expect.poll(() => data, SOON).toEqual(all);
      for (const node of cluster().nodes) {
        const history = await historyOf(node, session.id);
        expect(history.map((message) => 'data' in message && message.data)).toEqual(all);
      }
    }
  }, 120_000);
});
