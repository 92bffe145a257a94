import { afterEach, describe, expect, test } from 'vitest';
import { expectReply, type RawClient, tokenOf } from '../support/raw-client.js';
import { TcpProxy } from '../support/tcp-proxy.js';
import { codeOf, inspect, newAttempt, newSession, own, seen, useCluster, watch } from './use-cluster.js';

describe('reconnect tokens and attempts across nodes', () => {
  const cluster = useCluster({ graceMs: 5_000 });
  let proxy: TcpProxy | undefined;

  afterEach(() => proxy?.stop());

  /** A connection to that node through a proxy of its own. */
  const connectProxied = async (node: number): Promise<{ client: RawClient; proxy: TcpProxy }> => {
    proxy = await TcpProxy.start(cluster().node(node).port);
    const client = await cluster().connect({ url: `ws://127.0.0.1:${proxy.port}/v1/connect` });
    return { client, proxy };
  };

  test('a half-open old connection: the token takes over at once, and the old one is told', async () => {
    const session = newSession();
    const { client: old, proxy } = await connectProxied(0);
    const watcher = await cluster().connect(2);
    const { token, epoch } = await own(old, session);
    await watch(watcher, session);
    proxy.pause();
    const back = await cluster().connect(1);
    const startedMs = performance.now();
    const again = await own(back, session, { reconnect_token: token });
    expect(performance.now() - startedMs).toBeLessThan(500);
    expect(again.epoch).toBeGreaterThan(epoch);
    await watcher.nextOwnership(session, 'owned');
    expect(seen(watcher, session)).toEqual(['owned reclaimed']);

    const release = old.release(session);
    proxy.resume();
    const lost = await old.next('ownership_lost');
    expect(lost).toMatchObject({ reason: 'reclaimed', owner_epoch: again.epoch });
    expect(codeOf(await release)).toBe('not_owner');
    expect(await inspect(cluster().node(0), session)).toMatchObject({ state: 'owned', connection_id: back.id });
  });

  test('the reply to a first claim is lost: the same attempt gets the session on another node', async () => {
    const session = newSession();
    const watcher = await cluster().connect(2);
    await watch(watcher, session);
    const { client: first, proxy } = await connectProxied(0);
    const attempt = newAttempt();
    const dropped = proxy.dropOnce('replies');
    first.send({ type: 'subscribe', session_id: session, attempt_id: attempt });
    await dropped;
    const { owner_epoch: lostEpoch } = await watcher.nextOwnership(session, 'owned');

    const stranger = await cluster().connect(1);
    expect(await stranger.subscribe(session, { attempt_id: newAttempt() })).toMatchObject({ owner: false });

    const second = await own(await cluster().connect(1), session, { attempt_id: attempt });
    expect(second.epoch).toBeGreaterThan(lostEpoch);
    const third = await own(await cluster().connect(2), session, { attempt_id: attempt });
    expect(third.token).toBe(second.token);
    expect(third.epoch).toBeGreaterThan(second.epoch);
    await own(await cluster().connect(0), session, { reconnect_token: third.token });
  });

  test('the reply to a reclaim is lost: the same attempt gets the session on another node', async () => {
    const session = newSession();
    const owner = await cluster().connect(2);
    const { token, epoch } = await own(owner, session);
    owner.terminate();
    const { client: first, proxy } = await connectProxied(0);
    const attempt = { reconnect_token: token, attempt_id: newAttempt() };
    const dropped = proxy.dropOnce('replies');
    first.send({ type: 'subscribe', session_id: session, ...attempt });
    await dropped;

    const second = await own(await cluster().connect(1), session, attempt);
    expect(second.epoch).toBeGreaterThan(epoch);
    await own(await cluster().connect(0), session, { reconnect_token: second.token });
  });

  test('whoever got the reply and whoever repeats the attempt hold the same token', async () => {
    const session = newSession();
    const owner = await cluster().connect(0);
    const { token } = await own(owner, session);
    owner.terminate();
    const attempt = { reconnect_token: token, attempt_id: newAttempt() };
    const tokens = new Set<string>();
    const epochs: number[] = [];
    for (const node of [0, 1, 2, 1]) {
      const granted = await own(await cluster().connect(node), session, attempt);
      tokens.add(granted.token);
      epochs.push(granted.epoch);
    }
    expect(tokens.size).toBe(1);
    expect(epochs).toEqual([...new Set(epochs)].sort((a, b) => a - b));
  });

  test('without an attempt id a token works once', async () => {
    const session = newSession();
    const owner = await cluster().connect(0);
    const { token } = await own(owner, session);
    await own(await cluster().connect(1), session, { reconnect_token: token });
    const again = await cluster().connect(2);
    const reply = await again.request({ type: 'subscribe', session_id: session, reconnect_token: token });
    expect(codeOf(reply)).toBe('reconnect_token_used');
  });

  test('a late duplicate from an abandoned connection leaves the client’s token good', async () => {
    const session = newSession();
    const owner = await cluster().connect(2);
    const { token } = await own(owner, session);
    owner.terminate();
    const attempt = { reconnect_token: token, attempt_id: newAttempt() };
    const { client: abandoned, proxy } = await connectProxied(0);
    proxy.pause();
    const late = abandoned.request({ type: 'subscribe', session_id: session, ...attempt });
    const client = await cluster().connect(1);
    const granted = await own(client, session, attempt);

    proxy.resume();
    const duplicate = expectReply('subscribe_ack', await late);
    expect(duplicate).toMatchObject({ owner: true, reconnect_token: granted.token });
    await client.next('ownership_lost');
    abandoned.terminate();
    const back = await own(await cluster().connect(1), session, {
      reconnect_token: granted.token,
      attempt_id: newAttempt(),
    });
    expect(back.epoch).toBeGreaterThan(duplicate.owner_epoch);
  });

  test.each([
    ['while the session is held', true],
    ['while the old connection looks alive', false],
  ])('of 100 presentations of one token over three nodes exactly one wins, %s', async (_, gone) => {
    const session = newSession();
    const owner = await cluster().connect(0);
    const { token, epoch } = await own(owner, session);
    const rivals = await Promise.all(Array.from({ length: 100 }, (_, i) => cluster().connect(i % 3)));
    if (gone) owner.terminate();
    const replies = await Promise.all(
      rivals.map((rival, i) =>
        rival.request({
          type: 'subscribe',
          session_id: session,
          reconnect_token: token,
          ...(i % 2 === 0 && { attempt_id: newAttempt() }),
        }),
      ),
    );
    const winners = replies.filter((reply) => reply.type === 'subscribe_ack');
    expect(winners).toHaveLength(1);
    expect(winners[0]).toMatchObject({ owner: true, token_status: 'accepted' });
    expect(winners[0]?.owner_epoch).toBeGreaterThan(epoch);
    const refusals = replies.filter((reply) => reply.type !== 'subscribe_ack').map(codeOf);
    expect(refusals).toHaveLength(99);
    for (const code of refusals) expect(['invalid_reconnect_token', 'reconnect_token_used']).toContain(code);

    const winner = winners[0];
    const { token: next } = await own(await cluster().connect(1), session, {
      reconnect_token: winner === undefined ? '' : tokenOf(winner),
    });
    expect(next).not.toBe(token);
  });
});
