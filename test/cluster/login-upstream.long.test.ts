import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { loginHandle } from '../../src/login/handles.js';
import type { CreatedLogin } from '../../src/protocol/http.js';
import { type Answer, backend, call, createLogin, me, refresh } from '../support/login-calls.js';
import { eventually, redisCall } from '../support/redis-process.js';
import { type Fault, StrictProvider, silence } from '../support/strict-provider.js';
import { useCluster } from './use-cluster.js';

const TIMEOUT_MS = 500;
/** What others wait for a request of a node that is gone: its time, and until it has ended for certain. */
const GONE_MS = TIMEOUT_MS + 500;
/** For the lock of a grant, and then for the answer. */
const WAIT_MS = 2 * TIMEOUT_MS + 2_500;
const MAX_WAITERS = 100;
const GRANTS = 300;

interface Token {
  access_token: string;
}

describe('an upstream provider that rejects replays, behind three nodes', () => {
  const idp = StrictProvider.start();
  const folder = mkdtemp(join(tmpdir(), 'holdfast-upstream-'));
  let provider: StrictProvider;

  const cluster = useCluster(async () => {
    provider = await idp;
    const { tokenUrl } = provider;
    const common = { tokenUrl, clientId: 'gateway', exposeAccessToken: true, timeoutMs: TIMEOUT_MS };
    const upstreams = { default: common };
    const config = join(await folder, 'holdfast.json');
    await writeFile(config, JSON.stringify({ upstreams }));
    return {
      args: ['--auth', 'login', '--config', config],
      env: { HOLDFAST_ALLOW_LOOPBACK_HTTP: 'true' },
    };
  });

  beforeEach(() => {
    provider.delayMs = 20;
    provider.mostInFlight = 0;
    provider.requests.length = 0;
  });

  afterAll(async () => {
    await provider.stop();
    await rm(await folder, { recursive: true });
  });

  async function granted(principal = 'alice'): Promise<CreatedLogin & { upstreamToken: string }> {
    const upstreamToken = provider.issue();
    const upstream = { refresh_token: upstreamToken };
    return { ...(await createLogin(cluster().node(1), { principal, upstream })), upstreamToken };
  }

  const ask = (node: number, { access_token: token }: Token) =>
    call<Token>(cluster().node(node), '/v1/auth/upstream', { token });

  const askAll = (count: number, nodes: readonly number[], login: Token) =>
    Promise.all(Array.from({ length: count }, (_, i) => ask(nodes[i % nodes.length] ?? 0, login)));

  const tokensOf = (answers: readonly Answer<Token>[]) => new Set(answers.map(({ body }) => body.access_token));

  test('50 calls at once are one request', async () => {
    provider.delayMs = 200;
    const login = await granted();
    const answers = await askAll(50, [0, 1, 2], login);
    expect(answers.filter(({ status }) => status !== 200)).toEqual([]);
    expect(tokensOf(answers).size).toBe(1);
    expect(provider.requests).toHaveLength(1);
    expect(provider.grantOf(login.upstreamToken)).toMatchObject({ rotations: 1, revoked: false });
  });

  /** What the provider does with the request of the node that is killed, and what the others get then. */
  const kills: [string, { faults?: Fault; lateFaults?: Fault }, number][] = [
    ['had not used the token: its answer', { faults: silence }, 200],
    ['had used the token: the person has to consent again', { lateFaults: silence }, 409],
  ];

  test.each(kills)(
    'the node that asks is killed: one retry after the time of the request. The provider %s',
    async (_, { faults, lateFaults }, status) => {
      const login = await granted();
      if (faults) provider.faults.push(faults);
      if (lateFaults) provider.lateFaults.push(lateFaults);
      const first = askAll(5, [0], login).catch(() => 'broken off');
      await expect.poll(() => provider.requests.length).toBe(1);
      await sleep(50);
      const killedMs = performance.now();
      await cluster().node(0).kill();
      const answers = await askAll(20, [1, 2], login);
      expect(performance.now() - killedMs).toBeGreaterThan(GONE_MS - 200);
      expect(answers.filter((answer) => answer.status !== status)).toEqual([]);
      expect(tokensOf(answers).size).toBe(1);
      expect(provider.requests).toHaveLength(2);
      expect(await first).toBe('broken off');

      expect((await me(cluster().node(1), login.access_token)).status).toBe(200);
      expect((await refresh(cluster().node(2), login.refresh_token)).status).toBe(200);
      const anew = { refresh_token: provider.issue() };
      const path = `/v1/logins/${login.login_id}/upstream`;
      expect((await backend(cluster().node(2), path, { method: 'PUT', body: anew })).status).toBe(204);
      expect((await ask(1, login)).status).toBe(200);
    },
  );

  test('the node that asks is stopped for longer than its request may take: the answer that came meanwhile counts', async () => {
    const login = await granted();
    provider.delayMs = 200;
    const asking = ask(0, login);
    await expect.poll(() => provider.requests.length).toBe(1);
    cluster().node(0).pause();
    await sleep(TIMEOUT_MS + 200);
    cluster().node(0).resume();
    const answers = [await asking, await ask(1, login)];
    expect(answers.map(({ status }) => status)).toEqual([200, 200]);
    expect(tokensOf(answers).size).toBe(1);
    expect(provider.requests).toHaveLength(1);
    expect(provider.grantOf(login.upstreamToken).revoked).toBe(false);
  });

  test('a node that is told to stop keeps the answer that it waits for', async () => {
    const login = await granted();
    provider.delayMs = 400;
    const asking = ask(0, login).catch(() => undefined);
    await expect.poll(() => provider.requests.length).toBe(1);
    expect(await cluster().node(0).stop()).toMatchObject({ code: 0 });
    await asking;
    expect((await ask(1, login)).status).toBe(200);
    expect(provider.requests).toHaveLength(1);
  });

  test('grants do not wait for each other', async () => {
    const [slow, fast] = [await granted(), await granted()];
    provider.faults.push(silence);
    const waiting = askAll(3, [0, 1, 2], slow);
    await expect.poll(() => provider.requests.length).toBe(1);
    const sinceMs = performance.now();
    expect((await askAll(3, [0, 1, 2], fast)).map(({ status }) => status)).toEqual([200, 200, 200]);
    expect(performance.now() - sinceMs).toBeLessThan(TIMEOUT_MS / 2);
    await waiting;
  });

  test('a lock that nobody gives back: callers wait in bounds for 503, and it keeps nothing else waiting', async () => {
    const [held, free] = [await granted(), await granted()];
    const { port } = cluster().redis;
    const [grant] = (await redisCall(port, 'KEYS', `*${loginHandle(held.login_id)}:upstream`)) as [string];
    await redisCall(port, 'SET', `${grant}:lock`, 'nobody');
    const sinceMs = performance.now();
    const waiting = askAll(MAX_WAITERS + 20, [0], held);
    const refused = await Promise.race([waiting.then(() => 'late'), ask(0, held)]);
    expect(refused).toMatchObject({ status: 503, body: { code: 'upstream_busy' } });
    expect((await ask(0, free)).status).toBe(200);
    expect((await me(cluster().node(0), held.access_token)).status).toBe(200);
    expect(performance.now() - sinceMs).toBeLessThan(1_000);
    for (const { status, body, headers } of await waiting) {
      expect([status, body.code]).toEqual([503, 'upstream_busy']);
      expect(Number(headers.get('retry-after'))).toBeGreaterThan(0);
    }
    expect(performance.now() - sinceMs).toBeLessThan(WAIT_MS + 500);
    await redisCall(port, 'DEL', `${grant}:lock`);
    expect((await ask(0, held)).status).toBe(200);
  });

  test(`${GRANTS} grants leave no lock behind`, async () => {
    provider.delayMs = 0;
    for (let i = 0; i < GRANTS; i += 50) {
      const logins = Array.from({ length: 50 }, (_, j) => granted(`user-${i + j}`));
      const answers = await Promise.all(logins.map(async (login, j) => ask(j % 3, await login)));
      expect(answers.map(({ status, body }) => (status === 200 ? 'ok' : body.code))).toEqual(answers.map(() => 'ok'));
    }
    expect(provider.requests).toHaveLength(GRANTS);
    await eventually('no lock', async () => {
      const keys = (await redisCall(cluster().redis.port, 'KEYS', '*:lock')) as string[];
      return keys.length === 0;
    });
  });
});
