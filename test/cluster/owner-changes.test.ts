import { SignJWT } from 'jose';
import { describe, expect, test } from 'vitest';
import { SECRETS } from '../support/gateway-process.js';
import { tokenOf } from '../support/raw-client.js';
import { codeOf, inspect, newSession, own, seen, useCluster, watch } from './use-cluster.js';

const PRINCIPAL_RIGHTS = [{ sessions: '*', allow: ['watch', 'own', 'force'] }];

async function jwtFor(principal: string, rights: object[] = []): Promise<string> {
  return new SignJWT({ rights })
    .setProtectedHeader({ alg: 'HS256' })
    .setSubject(principal)
    .setExpirationTime('10m')
    .sign(new TextEncoder().encode(SECRETS.HOLDFAST_JWT_SECRET));
}

describe('changes of owner across nodes', () => {
  const cluster = useCluster({ graceMs: 5_000, args: ['--auth', 'jwt,anonymous', '--access', 'rules'] });

  const connect = async (node: number, principal: string) => {
    return cluster().connect(node, { token: await jwtFor(principal, PRINCIPAL_RIGHTS) });
  };

  /** The application's request, through that node. */
  const callApi = async (node: number, method: string, session: string, body?: object) => {
    const response = await fetch(`${cluster().node(node).url}/v1/sessions/${session}/owner`, {
      method,
      headers: { authorization: `Bearer ${SECRETS.HOLDFAST_API_KEY}`, 'content-type': 'application/json' },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    return { status: response.status, body: (await response.json()) as Record<string, unknown> };
  };

  test('a forced claim takes the session from another node’s owner, and its token is worth nothing', async () => {
    const session = newSession();
    const owner = await connect(0, 'ann');
    const taker = await connect(1, 'bob');
    const watcher = await connect(2, 'cid');
    const { token, epoch } = await own(owner, session);
    await watch(taker, session);
    await watch(watcher, session);
    const forced = await taker.claim(session, { force: true });
    expect(forced.owner_epoch).toBeGreaterThan(epoch);
    expect(await owner.next('ownership_lost')).toMatchObject({ reason: 'forced', owner_epoch: forced.owner_epoch });
    expect(codeOf(await owner.release(session))).toBe('not_owner');
    await watcher.nextOwnership(session, 'owned');
    expect(seen(watcher, session)).toEqual(['owned forced']);

    const late = await connect(2, 'ann');
    expect(await late.subscribe(session, { reconnect_token: token })).toMatchObject({ owner: false });
    await own(await connect(0, 'bob'), session, { reconnect_token: tokenOf(forced) });
  });

  test('of many forced claims at once over three nodes each has an epoch of its own, and the last one owns', async () => {
    const session = newSession();
    const rivals = await Promise.all(Array.from({ length: 12 }, (_, i) => connect(i % 3, `p${i}`)));
    await Promise.all(rivals.map((rival) => watch(rival, session)));
    const replies = await Promise.all(
      rivals.map((rival) => rival.request({ type: 'claim', session_id: session, force: true }, 10_000)),
    );
    const epochs = replies.flatMap((reply) => (reply.type === 'claim_ack' ? [reply.owner_epoch] : []));
    expect(epochs.length).toBeGreaterThan(0);
    expect(new Set(epochs).size).toBe(epochs.length);
    for (const reply of replies) expect(['claim_ack', 'session_busy']).toContain(codeOf(reply));
    const winner = rivals[replies.findIndex((it) => it.type === 'claim_ack' && it.owner_epoch === Math.max(...epochs))];
    expect(await inspect(cluster().node(0), session)).toMatchObject({
      state: 'owned',
      owner_epoch: Math.max(...epochs),
      connection_id: winner?.id,
    });
  });

  test('another principal’s token is refused', async () => {
    const session = newSession();
    const { token } = await own(await connect(0, 'ann'), session);
    const thief = await connect(1, 'eve');
    const reply = await thief.request({ type: 'subscribe', session_id: session, reconnect_token: token });
    expect(codeOf(reply)).toBe('invalid_reconnect_token');
    await own(await connect(1, 'ann'), session, { reconnect_token: token });
  });

  test('the application gives a session to a connection, then to a principal, and takes it away', async () => {
    const session = newSession();
    const ann = await connect(0, 'ann');
    const bob = await connect(1, 'bob');
    const cid = await connect(2, 'cid');
    const { epoch } = await own(ann, session);
    await watch(bob, session);
    await watch(cid, session);

    const toBob = await callApi(2, 'PUT', session, { connection_id: bob.id });
    expect(toBob).toMatchObject({ status: 200, body: { state: 'owned', connection_id: bob.id, node: 'n2' } });
    expect(await ann.next('ownership_lost')).toMatchObject({ reason: 'transferred' });
    const given = await bob.next('ownership', ({ owner }) => owner === true);
    expect(given).toMatchObject({ reason: 'transferred', state: 'owned' });
    expect(given.owner_epoch).toBeGreaterThan(epoch);

    const toCid = await callApi(0, 'PUT', session, { principal: 'cid' });
    expect(toCid).toMatchObject({ status: 200, body: { connection_id: cid.id, principal: 'cid' } });
    expect(await bob.next('ownership_lost')).toMatchObject({ reason: 'transferred' });
    const { reconnect_token: token } = await cid.next('ownership', ({ owner }) => owner === true);
    cid.terminate();
    const back = await connect(0, 'cid');
    await own(back, session, { reconnect_token: token ?? '' });

    expect(await callApi(1, 'DELETE', session)).toMatchObject({ status: 200, body: { state: 'free' } });
    expect(await back.next('ownership_lost')).toMatchObject({ reason: 'removed' });
    await ann.nextOwnership(session, 'free');
    expect(seen(ann, session).at(-1)).toBe('free removed');
    for (const node of cluster().nodes) expect((await inspect(node, session)).state).toBe('free');
  });

  test('a connection that does not follow the session gets nothing', async () => {
    const session = newSession();
    const owner = await connect(0, 'ann');
    const { epoch } = await own(owner, session);
    const stranger = await connect(1, 'bob');
    const answer = await callApi(2, 'PUT', session, { connection_id: stranger.id });
    expect(answer).toMatchObject({ status: 404, body: { code: 'connection_not_found' } });
    expect(await inspect(cluster().node(2), session)).toMatchObject({ connection_id: owner.id, owner_epoch: epoch });
  });
});
