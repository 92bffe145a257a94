import { SignJWT } from 'jose';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { version } from '../../src/version.js';
import { HOOK_SECRET } from '../support/application.js';
import { SECRETS } from '../support/gateway-process.js';
import { backendCall, historyOf, messagesOf, positionOf, publish } from '../support/message-calls.js';
import { expectReply, type RawClient, tokenOf } from '../support/raw-client.js';
import { application } from './hooked.js';
import { inspect, newSession, own, seen, useCluster, watch } from './use-cluster.js';
import { bothMains, commandOf, noPrevious, previous, WAYS, withPrevious } from './version-skew.js';

async function send(owner: RawClient, sessionId: string, data: unknown, key: string): Promise<number> {
  const reply = await owner.request({ type: 'send', session_id: sessionId, data, idempotency_key: key });
  return expectReply('send_ack', reply).offset;
}

async function jwtFor(principal: string): Promise<string> {
  return new SignJWT({ rights: [{ sessions: '*', allow: ['watch', 'own', 'force', 'send', 'signal'] }] })
    .setProtectedHeader({ alg: 'HS256' })
    .setSubject(principal)
    .setExpirationTime('10m')
    .sign(new TextEncoder().encode(SECRETS.HOLDFAST_JWT_SECRET));
}

const offsetsOf = (client: RawClient, sessionId: string) => messagesOf(client, sessionId).map(({ offset }) => offset);

describe.skipIf(noPrevious)(
  withPrevious('a node of the previous release beside one of this'),
  { timeout: 80_000 },
  () => {
    const cluster = useCluster(async () => {
      await application.start();
      const args = [
        ['--auth', 'jwt', '--access', 'rules', '--presence', 'true'],
        ['--events-url', `${application.url}/events`, '--hook-timeout-ms', '500'],
      ].flat();
      return { nodes: 2, mains: bothMains(), graceMs: 3_000, args, env: { HOLDFAST_HOOK_SECRET: HOOK_SECRET } };
    });
    afterAll(() => application.stop());

    const connect = async (node: number, principal = 'alice') =>
      cluster().connect(node, { token: await jwtFor(principal) });

    test('each lists both', async () => {
      for (const main of bothMains()) {
        const listed = JSON.parse(await commandOf(main, cluster().node(0), 'nodes', '--json')) as object[];
        expect(listed).toMatchObject([
          { nodeId: 'n1', version: previous().version, state: 'ready' },
          { nodeId: 'n2', version: version(), state: 'ready' },
        ]);
      }
    });

    // Before any node dies: for a while a dead one is listed beside its successor, and a command needs a name of one node.
    test.each(WAYS)('sessions are handed over %s by a drain that the latter version orders', async (_way, from, to) => {
      const sessions = Array.from({ length: 10 }, () => newSession());
      const owner = await connect(from);
      const tokens = await Promise.all(sessions.map(async (session) => (await own(owner, session)).token));
      const [node, main] = [cluster().node(from), bothMains()[to] ?? ''];
      const moved = async () => {
        expect(await owner.whenClosed).toMatchObject({ code: 1012 });
        const back = await connect(to);
        for (const [i, session] of sessions.entries()) await own(back, session, { reconnect_token: tokens[i] ?? '' });
      };
      try {
        const [said] = await Promise.all([commandOf(main, node, 'drain', node.nodeId), moved()]);
        expect(said).toContain(`${node.nodeId}: drained, 0 connections left`);
      } finally {
        expect(await commandOf(main, node, 'undrain', node.nodeId)).toContain(`${node.nodeId}: ready`);
      }
    });

    describe.each(WAYS)('%s', (_way, from, to) => {
      test('an owner whose node dies takes its session back', async () => {
        const session = newSession();
        const owner = await connect(from);
        const watcher = await connect(to);
        const { token, epoch } = await own(owner, session);
        await watch(watcher, session);
        await cluster().node(from).kill();
        const again = await own(await connect(to), session, { reconnect_token: token });
        expect(again.epoch).toBeGreaterThan(epoch);
        await watcher.nextOwnership(session, 'owned');
        expect(seen(watcher, session)).toEqual(['owned reclaimed']);
      });

      test('what a dead node left behind lapses once', async () => {
        const session = newSession();
        const watcher = await connect(to);
        await own(await connect(from), session);
        await watch(watcher, session);
        await cluster().node(from).kill();
        await watcher.nextOwnership(session, 'free', 5 * cluster().leaseMs);
        expect(seen(watcher, session)).toEqual(['free expired']);
        await own(await connect(to), session);
      });

      test('ownership changes hands and everybody hears of it', async () => {
        const session = newSession();
        const owner = await connect(from, 'alice');
        const other = await connect(to, 'bob');
        const watchers = [await connect(from), await connect(to)];
        await own(owner, session);
        for (const watcher of [other, ...watchers]) await watch(watcher, session);
        const forced = await other.claim(session, { force: true });
        expect(await owner.next('ownership_lost')).toMatchObject({ reason: 'forced', owner_epoch: forced.owner_epoch });
        // The one node offers the session to a connection of the other.
        const path = `sessions/${session}/owner`;
        expect((await backendCall(cluster().node(to), 'PUT', path, { connection_id: owner.id })).status).toBe(200);
        const given = await owner.next('ownership', (message) => message.owner === true);
        expect(given).toMatchObject({ reason: 'transferred' });
        owner.terminate();
        for (const watcher of watchers) await watcher.nextOwnership(session, 'held');
        const back = await connect(to, 'alice');
        await own(back, session, { reconnect_token: tokenOf(given) });
        await back.release(session);
        const told = ['owned forced', 'owned transferred', 'held disconnected', 'owned reclaimed', 'free released'];
        for (const watcher of watchers) {
          await watcher.nextOwnership(session, 'free');
          expect(seen(watcher, session)).toEqual(told);
        }
        await watchers[1]?.claim(session);
        const subscriptions = `sessions/${session}/subscriptions`;
        expect((await backendCall(cluster().node(from), 'DELETE', subscriptions)).ok).toBe(true);
        for (const watcher of watchers) await watcher.next('unsubscribed');
        expect((await inspect(cluster().node(from), session)).state).toBe('free');
      });

      test('messages arrive on both, and what was missed is recovered', async () => {
        const session = newSession();
        const owner = await connect(from);
        const watchers = [await connect(from), await connect(to)];
        const { token } = await own(owner, session);
        for (const watcher of watchers) await watch(watcher, session);
        const leaver = await connect(from);
        await watch(leaver, session);
        for (const n of [1, 2, 3]) await send(owner, session, { n }, `k${n}`);
        await leaver.next('message', ({ offset }) => offset === 3);
        await leaver.close();
        await publish(cluster().node(to), session, { data: { n: 4 }, idempotency_key: 'k4' });
        await publish(cluster().node(from), session, { data: { n: 5 }, idempotency_key: 'k5' });
        expect(await publish(cluster().node(to), session, { data: { n: 5 }, idempotency_key: 'k5' })).toMatchObject({
          offset: 5,
          duplicate: true,
        });
        const back = await connect(to);
        await own(back, session, { reconnect_token: token });
        expect(await send(back, session, { n: 6 }, 'k6')).toBe(6);
        const [other] = watchers as [RawClient];
        await other.request({ type: 'signal', session_id: session, data: 'stop' });
        expect(await back.next('signal')).toMatchObject({ data: 'stop' });

        const late = await connect(to);
        const since = positionOf(leaver, session);
        expect(await late.subscribe(session, { claim: 'never', since })).toMatchObject({ recovered: true });
        for (const client of [...watchers, late]) await client.next('message', ({ offset }) => offset === 6);
        for (const watcher of watchers) expect(offsetsOf(watcher, session)).toEqual([1, 2, 3, 4, 5, 6]);
        expect(offsetsOf(late, session)).toEqual([4, 5, 6]);
        const histories = await Promise.all(cluster().nodes.map((node) => historyOf(node, session)));
        expect(histories[0]?.map((message) => 'data' in message && message.data)).toEqual(
          [1, 2, 3, 4, 5, 6].map((n) => ({ n })),
        );
        expect(histories[1]).toEqual(histories[0]);
      });

      test('who comes and who goes is seen', async () => {
        const session = newSession();
        const [resident, guest] = [await connect(to, 'alice'), await connect(from, 'bob')];
        await watch(resident, session);
        expect(await resident.next('presence')).toMatchObject({ event: 'present', count: 1 });
        await watch(guest, session);
        expect(await guest.next('presence')).toMatchObject({ event: 'present', count: 2 });
        expect(await resident.next('presence')).toMatchObject({ event: 'joined', count: 2 });
        guest.terminate();
        const patienceMs = 5 * cluster().graceMs;
        expect(await resident.next('presence', undefined, patienceMs)).toMatchObject({ event: 'left', count: 1 });
      });

      describe('the application', () => {
        beforeEach(() => application.answers.clear());

        test('is told by the other node of what a dead one wrote, in order', async () => {
          const sessions = Array.from({ length: 20 }, () => newSession());
          application.answers.set('/events', (_call, response) => void response.destroy());
          const owner = await connect(from);
          for (const session of sessions) await own(owner, session);
          for (const session of sessions) await owner.release(session);
          await cluster().node(from).kill();
          application.answers.clear();
          // Deliveries are at least once.
          const told = (session: string) =>
            application
              .callsOf('/events')
              .flatMap(({ body }) => (body['session_id'] === session ? [body['type']] : []));
          for (const session of sessions) {
            await expect
              .poll(() => [...new Set(told(session))], { timeout: 60_000 })
              .toEqual(['session.owned', 'session.released']);
          }
        });
      });
    });
  },
);
