import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import type { IssuedTokens } from '../../src/protocol/http.js';
import { backend, call, createLogin, eventKinds, me, refresh, ticketFor } from '../support/login-calls.js';
import { newSession, own, useCluster } from './use-cluster.js';
import { bothMains, noPrevious, WAYS, withPrevious } from './version-skew.js';

const REUSE_INTERVAL_MS = 500;
const CLOSED_WITHIN_MS = 1_000;

describe.skipIf(noPrevious)(
  withPrevious('logins over a node of the previous release and one of this'),
  { timeout: 60_000 },
  () => {
    const cluster = useCluster(async () => ({
      nodes: 2,
      mains: bothMains(),
      args: ['--auth', 'login', '--reuse-interval-ms', `${REUSE_INTERVAL_MS}`],
    }));

    const old = () => sleep(REUSE_INTERVAL_MS + 50);

    describe.each(WAYS)('%s', (_way, from, to) => {
      test('a login is refreshed by turns, its access tokens and tickets are good on both', async () => {
        const login = await createLogin(cluster().node(from));
        let tokens: IssuedTokens = login;
        for (const node of [to, from, to]) {
          await old();
          const answer = await refresh(cluster().node(node), tokens.refresh_token);
          expect(answer.status).toBe(200);
          expect(answer.body.refresh_token).not.toBe(tokens.refresh_token);
          tokens = answer.body;
          for (const reader of cluster().nodes) expect((await me(reader, tokens.access_token)).status).toBe(200);
        }
        const ticket = await ticketFor(cluster().node(from), tokens.access_token);
        const client = await cluster().connect(to, { ticket });
        expect(client.welcome.principal).toBe('alice');
        const kinds = await eventKinds(cluster().node(to), login.login_id);
        expect(kinds.filter((kind) => kind === 'refreshed')).toHaveLength(3);
        expect(kinds).not.toContain('ended');
      });

      test('of many refreshes at once on both there is one rotation, and a late one on the other node is no theft', async () => {
        const login = await createLogin(cluster().node(from));
        await old();
        const answers = await Promise.all(
          Array.from({ length: 40 }, (_, i) => refresh(cluster().node(i % 2), login.refresh_token)),
        );
        expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
        expect(new Set(answers.map(({ body }) => body.refresh_token)).size).toBe(1);
        await old();
        const late = await refresh(cluster().node(to), login.refresh_token);
        expect([late.status, late.body.refresh_token]).toEqual([200, answers[0]?.body.refresh_token]);
      });

      test('a login code of one is exchanged at the other', async () => {
        const login = await createLogin(cluster().node(from));
        const exchange = () =>
          call(cluster().node(to), '/v1/auth/exchange', { body: { login_code: login.login_code } });
        expect((await exchange()).status).toBe(200);
        expect((await exchange()).status).toBe(401);
      });

      test('a revocation closes the sockets on the other within a second and frees what they own', async () => {
        const login = await createLogin(cluster().node(from));
        const session = newSession();
        const client = await cluster().connect(to, {
          ticket: await ticketFor(cluster().node(from), login.access_token),
        });
        await own(client, session);
        const sinceMs = performance.now();
        const revoked = await backend(cluster().node(from), `/v1/logins/${login.login_id}`, { method: 'DELETE' });
        expect(revoked.status).toBe(200);
        const closed = await client.whenClosed;
        expect(closed.code).toBe(4001);
        expect(closed.atMs - sinceMs).toBeLessThan(CLOSED_WITHIN_MS);
        expect((await refresh(cluster().node(to), login.refresh_token)).body.code).toBe('login_ended');
        const free = () =>
          backend<{ state: string }>(cluster().node(from), `/v1/sessions/${session}`, { method: 'GET' });
        await expect.poll(async () => (await free()).body.state, { timeout: 10_000 }).toBe('free');
      });

      test('a stolen token that is replayed at the other ends the login on both', async () => {
        const login = await createLogin(cluster().node(from));
        await old();
        const next = await refresh(cluster().node(from), login.refresh_token);
        const client = await cluster().connect(from, {
          ticket: await ticketFor(cluster().node(from), next.body.access_token),
        });
        expect((await refresh(cluster().node(from), next.body.refresh_token)).status).toBe(200);
        await old();
        expect((await refresh(cluster().node(to), login.refresh_token)).body.code).toBe('refresh_token_reused');
        expect((await client.whenClosed).code).toBe(4003);
      });
    });
  },
);
