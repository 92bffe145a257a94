import { randomUUID } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { codeOf, newSession, own, seen, useCluster, watch } from './use-cluster.js';

const WRONG_TOKEN = `${randomUUID()}.${'A'.repeat(43)}`;

describe('ownership between connections', () => {
  const cluster = useCluster();

  describe.each([
    ['of one node', 0],
    ['of two nodes', 1],
  ])('%s', (_, other) => {
    test('one owns, the other watches, and a token takes the session back', async () => {
      const session = newSession();
      const [first, second] = [await cluster().connect(0), await cluster().connect(other)];
      const { token, epoch } = await own(first, session);
      expect(await second.subscribe(session)).toMatchObject({ owner: false, state: 'owned', owner_epoch: epoch });
      expect(codeOf(await second.request({ type: 'claim', session_id: session }))).toBe('session_owned');
      expect(codeOf(await second.release(session))).toBe('not_owner');

      first.terminate();
      const held = await second.nextOwnership(session, 'held');
      expect(held).toMatchObject({ owner_epoch: epoch, reason: 'disconnected' });
      const refused = await second.request({ type: 'claim', session_id: session });
      expect(refused).toMatchObject({ code: 'session_held', retryable: true });

      const back = await cluster().connect(other);
      const again = await own(back, session, { reconnect_token: token });
      expect(again.epoch).toBeGreaterThan(epoch);
      expect(again.token).not.toBe(token);
      const reclaimed = await second.nextOwnership(session, 'owned');
      expect(reclaimed).toMatchObject({ owner_epoch: again.epoch, reason: 'reclaimed' });

      expect(codeOf(await back.release(session))).toBe('release_ack');
      await second.nextOwnership(session, 'free');
      expect((await second.claim(session)).owner_epoch).toBeGreaterThan(again.epoch);
      expect(codeOf(await back.request({ type: 'claim', session_id: session }))).toBe('session_owned');
    });

    test('the grace period ends: one release for each watcher, and the token makes a new subscriber', async () => {
      const session = newSession();
      const [first, second] = [await cluster().connect(0), await cluster().connect(other)];
      const { token, epoch } = await own(first, session);
      await watch(second, session);
      first.terminate();
      await second.nextOwnership(session, 'free');
      const late = await cluster().connect(0);
      const ack = await late.subscribe(session, { reconnect_token: token });
      expect(ack).toMatchObject({ owner: true, token_status: 'expired' });
      expect(ack.owner_epoch).toBeGreaterThan(epoch);
      await second.nextOwnership(session, 'owned');
      expect(seen(second, session)).toEqual(['held disconnected', 'free expired', 'owned claimed']);
    });

    test('a wrong token is an error and changes nothing', async () => {
      const session = newSession();
      const [first, second] = [await cluster().connect(0), await cluster().connect(other)];
      const { epoch } = await own(first, session);
      const wrong = await second.request({ type: 'subscribe', session_id: session, reconnect_token: WRONG_TOKEN });
      expect(codeOf(wrong)).toBe('invalid_reconnect_token');
      expect(await watch(second, session)).toMatchObject({ state: 'owned', owner_epoch: epoch });
      expect(first.all('ownership_lost')).toEqual([]);
    });

    test('an owner that unsubscribes leaves nothing held', async () => {
      const session = newSession();
      const [first, second] = [await cluster().connect(0), await cluster().connect(other)];
      await own(first, session);
      await watch(second, session);
      expect(codeOf(await first.request({ type: 'unsubscribe', session_id: session }))).toBe('unsubscribe_ack');
      await second.nextOwnership(session, 'free');
      expect(seen(second, session)).toEqual(['free unsubscribed']);
    });
  });

  test('watchers on every node see every change', async () => {
    const session = newSession();
    const watchers = await Promise.all([0, 1, 2].map((node) => cluster().connect(node)));
    await Promise.all(watchers.map((watcher) => watch(watcher, session)));
    let owner = await cluster().connect(0);
    let { token } = await own(owner, session);
    const expected = ['owned claimed'];
    for (const node of [1, 2, 0]) {
      owner.terminate();
      // Each change is awaited everywhere: a reclaim may otherwise come before the hold, and there is no held state.
      await Promise.all(watchers.map((watcher) => watcher.nextOwnership(session, 'held')));
      owner = await cluster().connect(node);
      ({ token } = await own(owner, session, { reconnect_token: token }));
      expected.push('held disconnected', 'owned reclaimed');
    }
    await owner.release(session);
    expected.push('free released');
    for (const watcher of watchers) {
      await watcher.nextOwnership(session, 'free');
      expect(seen(watcher, session)).toEqual(expected);
    }
  });
});
