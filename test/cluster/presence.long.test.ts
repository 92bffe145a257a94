import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { SignJWT } from 'jose';
import { afterAll, describe, expect, test } from 'vitest';
import { SECRETS } from '../support/gateway-process.js';
import type { RawClient } from '../support/raw-client.js';
import { redisCall } from '../support/redis-process.js';
import { inspect, newSession, own, useCluster, watch } from './use-cluster.js';

const GRACE_MS = 1_500;

const jwtFor = (principal: string) =>
  new SignJWT({})
    .setProtectedHeader({ alg: 'HS256' })
    .setSubject(principal)
    .setExpirationTime('10m')
    .sign(new TextEncoder().encode(SECRETS.HOLDFAST_JWT_SECRET));

/** `event count names`, in order; the rev of each is newer than the one before. */
function told(client: RawClient, sessionId: string): string[] {
  const frames = client.all('presence').filter(({ session_id: id }) => id === sessionId);
  const revs = frames.map(({ rev }) => rev);
  expect(revs).toEqual([...new Set(revs)].sort((a, b) => a - b));
  return frames.map(({ event, count, members = [] }) => {
    const names = members.map(({ principal }) => principal).sort();
    return [event, count, ...names].join(' ');
  });
}

describe('presence over three nodes', () => {
  const folder = mkdtemp(join(tmpdir(), 'holdfast-presence-'));
  const cluster = useCluster(async () => {
    const config = join(await folder, 'holdfast.json');
    await writeFile(config, JSON.stringify({ namespaces: { room: { presence: true, exposePrincipals: true } } }));
    return { graceMs: GRACE_MS, args: ['--auth', 'jwt,anonymous', '--config', config] };
  });
  afterAll(async () => rm(await folder, { recursive: true }));

  const connect = async (node: number, principal: string) =>
    cluster().connect(node, { token: await jwtFor(principal) });

  /** Subscribes, and waits to be told who is there. */
  async function enter(node: number, principal: string, session: string): Promise<RawClient> {
    const client = await connect(node, principal);
    await watch(client, session);
    await client.next('presence', ({ event }) => event === 'present');
    return client;
  }

  const hears = (client: RawClient, event: 'joined' | 'left', timeoutMs?: number) =>
    client.nextFrame('presence', (message) => message.event === event, timeoutMs);

  test('who comes and who goes is seen everywhere, and by the application', async () => {
    const session = newSession('room');
    const alice = await enter(0, 'alice', session);
    await alice.claim(session);
    const bob = await enter(1, 'bob', session);
    const second = await enter(2, 'bob', session);
    await hears(alice, 'joined');
    expect((await inspect(cluster().node(2), session)).presence?.members).toEqual(
      expect.arrayContaining([
        { principal: 'alice', connections: 1 },
        { principal: 'bob', connections: 2 },
      ]),
    );
    await bob.request({ type: 'unsubscribe', session_id: session });
    await second.request({ type: 'unsubscribe', session_id: session });
    await hears(alice, 'left', GRACE_MS / 2);
    expect(told(alice, session)).toEqual(['present 1 alice', 'joined 2 bob', 'left 1 bob']);
    expect(told(second, session)).toEqual(['present 2 alice bob']);
  });

  test('a reload shows nothing, whichever node it ends up on', async () => {
    const session = newSession('room');
    const watcher = await enter(0, 'alice', session);
    let bob = await enter(1, 'bob', session);
    const anonymous = await cluster().connect(1);
    const { token } = await own(anonymous, session);
    await hears(watcher, 'joined');
    await hears(watcher, 'joined');
    for (const node of [2, 0, 1]) {
      bob.terminate();
      bob = await enter(node, 'bob', session);
    }
    anonymous.terminate();
    await own(await cluster().connect(2), session, { reconnect_token: token });
    await sleep(2 * GRACE_MS);
    const names = [anonymous.welcome.principal, 'alice', 'bob'].sort().join(' ');
    expect(told(watcher, session)).toEqual([
      'present 1 alice',
      'joined 2 bob',
      `joined 3 ${anonymous.welcome.principal}`,
    ]);
    expect(told(bob, session)).toEqual([`present 3 ${names}`]);
  });

  test('who does not come back has left when the grace period is over, once', async () => {
    const session = newSession('room');
    const watchers = [await enter(0, 'alice', session), await enter(2, 'carol', session)];
    const bob = await enter(1, 'bob', session);
    bob.terminate();
    const closedMs = performance.now();
    for (const watcher of watchers) {
      const { atMs } = await hears(watcher, 'left');
      expect(atMs - closedMs).toBeGreaterThan(GRACE_MS - 50);
    }
    // Another node's sweep, had it told the same, would have come by now.
    await sleep(500);
    for (const watcher of watchers) expect(told(watcher, session).slice(-2)).toEqual(['joined 3 bob', 'left 2 bob']);
  });

  test('the connections of a node that dies by SIGKILL leave when nobody renews them, once', async () => {
    const session = newSession('room');
    const watchers = [await enter(0, 'alice', session), await enter(2, 'carol', session)];
    const victims = [await enter(1, 'bob', session), await enter(1, 'dave', session)];
    await cluster().node(1).kill();
    await sleep(GRACE_MS + 500);
    expect(told(watchers[0] as RawClient, session).at(-1)).toBe('joined 4 dave');
    await letLapse(victims);
    for (const watcher of watchers) {
      await hears(watcher, 'left');
      await hears(watcher, 'left');
    }
    await sleep(500);
    for (const watcher of watchers) {
      expect(
        told(watcher, session)
          .slice(-2)
          .map((line) => line.split(' ')[0]),
      ).toEqual(['left', 'left']);
      expect(watcher.all('presence').at(-1)?.count).toBe(2);
    }
  });

  /** Brings forward by minutes the time at which the connections' entries end. */
  async function letLapse(clients: readonly RawClient[]): Promise<void> {
    const { port } = cluster().redis;
    const indexes = (await redisCall(port, 'KEYS', '*:presence')) as string[];
    for (const index of indexes) {
      for (const member of (await redisCall(port, 'ZRANGE', index, 0, -1)) as string[]) {
        if (clients.some(({ id }) => member.endsWith(` ${id}`))) await redisCall(port, 'ZADD', index, 1, member);
      }
    }
  }
});
