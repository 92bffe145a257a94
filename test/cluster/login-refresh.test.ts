import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import type { IssuedTokens } from '../../src/protocol/http.js';
import { type Answer, call, createLogin, eventKinds, me, refresh, ticketFor } from '../support/login-calls.js';
import { TcpProxy } from '../support/tcp-proxy.js';
import { useCluster } from './use-cluster.js';

const REUSE_INTERVAL_MS = 500;
const CALLERS = 400;

function successors(answers: readonly Answer<IssuedTokens>[]): Set<string> {
  return new Set(answers.map(({ body }) => body.refresh_token));
}

describe('refreshing over three nodes', () => {
  const cluster = useCluster({ args: ['--auth', 'login', '--reuse-interval-ms', `${REUSE_INTERVAL_MS}`] });

  /** A login whose current token is old enough to be rotated. */
  async function oldLogin() {
    const login = await createLogin(cluster().node(0));
    await sleep(REUSE_INTERVAL_MS + 50);
    return login;
  }

  test('400 at once: every caller succeeds, one rotation, one successor', async () => {
    const login = await oldLogin();
    const calls = Array.from({ length: CALLERS }, (_, i) => refresh(cluster().node(i % 3), login.refresh_token));
    const answers = await Promise.all(calls);
    expect(answers.filter(({ status }) => status !== 200)).toEqual([]);
    const [successor = '', ...others] = successors(answers);
    expect(others).toEqual([]);
    expect(successor).not.toBe(login.refresh_token);
    expect((await eventKinds(cluster().node(1), login.login_id)).filter((kind) => kind === 'refreshed')).toHaveLength(
      1,
    );
    for (const { body } of answers.slice(0, 10))
      expect((await me(cluster().node(2), body.access_token)).status).toBe(200);
  });

  test('400 at once while the node that rotates is killed: whoever asks again succeeds, with the same successor', async () => {
    const login = await oldLogin();
    const victim = cluster().node(0);
    const first = Array.from({ length: CALLERS }, async (_, i) =>
      refresh(cluster().node(i % 3), login.refresh_token).catch(() =>
        refresh(cluster().node(1 + (i % 2)), login.refresh_token),
      ),
    );
    await sleep(20);
    await victim.kill();
    const answers = await Promise.all(first);
    expect(answers.filter(({ status }) => status !== 200)).toEqual([]);
    expect(successors(answers).size).toBe(1);
    expect((await eventKinds(cluster().node(1), login.login_id)).filter((kind) => kind === 'refreshed')).toHaveLength(
      1,
    );
  });

  test('an answer that is lost on the network: the same token works again, also much later', async () => {
    const login = await oldLogin();
    const proxy = await TcpProxy.start(cluster().node(0).port);
    try {
      const lost = proxy.dropOnce('replies');
      const call = refresh({ url: `http://127.0.0.1:${proxy.port}` }, login.refresh_token);
      await expect(call).rejects.toThrow();
      await lost;
    } finally {
      await proxy.stop();
    }
    await sleep(4 * REUSE_INTERVAL_MS);
    const again = await refresh(cluster().node(1), login.refresh_token);
    expect(again.status).toBe(200);
    await sleep(2 * REUSE_INTERVAL_MS);
    const third = await refresh(cluster().node(2), login.refresh_token);
    expect([third.status, third.body.refresh_token]).toEqual([200, again.body.refresh_token]);
    expect((await refresh(cluster().node(0), again.body.refresh_token)).status).toBe(200);
  });

  test('a predecessor replayed after use and interval: the family is revoked, its connections elsewhere close with 4003', async () => {
    const login = await oldLogin();
    const client = await cluster().connect(1, { ticket: await ticketFor(cluster().node(2), login.access_token) });
    const next = await refresh(cluster().node(0), login.refresh_token);
    expect((await refresh(cluster().node(1), next.body.refresh_token)).status).toBe(200);
    await sleep(REUSE_INTERVAL_MS + 50);
    const replayedMs = performance.now();
    const replay = await refresh(cluster().node(2), login.refresh_token);
    expect([replay.status, replay.body.code]).toEqual([401, 'refresh_token_reused']);
    const closed = await client.whenClosed;
    expect(closed.code).toBe(4003);
    expect(closed.atMs - replayedMs).toBeLessThan(1_000);
    const current = await refresh(cluster().node(0), next.body.refresh_token);
    expect([current.status, current.body.code]).toEqual([401, 'login_ended']);
    expect((await eventKinds(cluster().node(0), login.login_id)).filter((kind) => kind === 'ended')).toHaveLength(1);
  });

  test('a node that wakes up and finds the request of a client that has long gone elsewhere takes nothing for stolen', async () => {
    const login = await oldLogin();
    const client = await cluster().connect(1, { ticket: await ticketFor(cluster().node(1), login.access_token) });
    cluster().node(0).pause();
    const unanswered = ['refresh', 'ticket', 'upstream'].map((path) =>
      call(cluster().node(0), `/v1/auth/${path}`, { token: login.refresh_token, timeoutMs: 200 }),
    );
    for (const { status } of await Promise.allSettled(unanswered)) expect(status).toBe('rejected');
    const next = await refresh(cluster().node(1), login.refresh_token);
    expect((await refresh(cluster().node(2), next.body.refresh_token)).status).toBe(200);
    await sleep(REUSE_INTERVAL_MS + 50);
    cluster().node(0).resume();
    await sleep(500);
    expect((await refresh(cluster().node(0), next.body.refresh_token)).status).toBe(200);
    expect(client.closed).toBeUndefined();
  });

  test('a forged token changes nothing', async () => {
    const login = await oldLogin();
    const forged = `${login.refresh_token.slice(0, -4)}AAAA`;
    const answer = await refresh(cluster().node(1), forged);
    expect([answer.status, answer.body.code]).toEqual([401, 'invalid_refresh_token']);
    expect((await refresh(cluster().node(2), login.refresh_token)).status).toBe(200);
  });
});
