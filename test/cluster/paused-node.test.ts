import { describe, expect, test } from 'vitest';
import { codeOf, inspect, newSession, own, useCluster, watch } from './use-cluster.js';

describe('a node that is stopped past the grace period and wakes up (SIGSTOP, SIGCONT)', () => {
  const cluster = useCluster({ nodes: 2 });

  test('its owner is told, and whatever it says as the owner is refused', async () => {
    const session = newSession();
    const old = await cluster().connect(0);
    const { token, epoch } = await own(old, session);
    const next = await cluster().connect(1);
    await watch(next, session);

    cluster().node(0).pause();
    expect(await next.nextOwnership(session, 'free', 10_000)).toMatchObject({ owner_epoch: epoch, reason: 'expired' });
    const claimed = await next.claim(session);
    expect(claimed.owner_epoch).toBeGreaterThan(epoch);

    // These lie in the sleeping node's socket and are the first thing that it reads.
    const whileAsleep = [old.release(session), old.request({ type: 'claim', session_id: session })];
    cluster().node(0).resume();
    const [released, reclaimed] = await Promise.all(whileAsleep);
    expect(['not_owner', 'ownership_unconfirmed']).toContain(released && codeOf(released));
    expect(reclaimed && codeOf(reclaimed)).toBe('session_owned');
    await old.next('ownership_lost', (it) => it.session_id === session);
    expect(codeOf(await old.release(session))).toBe('not_owner');

    expect(await inspect(cluster().node(1), session)).toMatchObject({
      state: 'owned',
      owner_epoch: claimed.owner_epoch,
      connection_id: next.id,
    });
    expect(next.all('ownership_lost')).toEqual([]);
    const late = await cluster().connect(0);
    expect(await late.subscribe(session, { reconnect_token: token })).toMatchObject({
      owner: false,
      token_status: 'expired',
    });
  });

  test('its owner may already have come back elsewhere', async () => {
    const session = newSession();
    const old = await cluster().connect(0);
    const { token } = await own(old, session);
    cluster().node(0).pause();
    const back = await cluster().connect(1);
    const { epoch } = await own(back, session, { reconnect_token: token });
    const release = old.release(session);
    cluster().node(0).resume();
    await old.next('ownership_lost', ({ reason }) => reason !== 'lease_unconfirmed');
    expect(['not_owner', 'ownership_unconfirmed']).toContain(codeOf(await release));
    expect(await inspect(cluster().node(0), session)).toMatchObject({ state: 'owned', owner_epoch: epoch });
    expect(back.all('ownership_lost')).toEqual([]);
  });
});
