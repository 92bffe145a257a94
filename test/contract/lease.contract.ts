import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Bench, LEASE_MS, LONG_MS, type MakeHarness, type StoreHarness, startedHarness } from './harness.js';

export function leaseContract(make: MakeHarness): void {
  describe('renew, hold and release', () => {
    let harness: StoreHarness;
    let bench: Bench;

    beforeAll(async () => {
      harness = await startedHarness(make);
      bench = new Bench(harness);
    });

    afterAll(() => harness.close());

    test('renew pushes the deadlines of the leases that stand, and answers in order', async () => {
      const { store } = harness;
      const [mine, taken, unknown] = [await bench.session(), await bench.session(), await bench.session()];
      const lease = mine.lease(await store.claim(mine.claim('c_1')));
      const old = taken.lease(await store.claim(taken.claim('c_1')));
      const token = (await store.claim(taken.claim('c_1'))).tokenHash;
      await store.reclaim(taken.reclaim('c_2', token));
      const none = { sessionId: unknown.id, connectionId: 'c_1', epoch: lease.epoch };
      expect(await store.renew([old, lease, none], 2 * LONG_MS)).toEqual(['lost', 'renewed', 'missing']);
      const view = await store.read(mine.id);
      expect(view.deadlineMs - view.nowMs).toBeGreaterThan(LONG_MS);
      expect(view).toMatchObject({ epoch: lease.epoch, rev: 1 });
      expect(await mine.events()).toHaveLength(1);
      expect(await store.renew([], LONG_MS)).toEqual([]);
    });

    test('renew is fenced by epoch and by connection', async () => {
      const { store } = harness;
      const session = await bench.session();
      const first = await store.claim(session.claim('c_1'));
      const lease = session.lease(first);
      const wrong = [
        { ...lease, epoch: lease.epoch - 1 },
        { ...lease, connectionId: 'c_2' },
      ];
      expect(await store.renew(wrong, 2 * LONG_MS)).toEqual(['lost', 'lost']);
      expect((await store.read(session.id)).deadlineMs).toBe(first.view.deadlineMs);
    });

    test('renew saves a lease that ended and was not released yet', async () => {
      const { store } = harness;
      const session = await bench.session();
      const first = await store.claim(session.claim('c_1', { leaseMs: LEASE_MS }));
      await harness.wait(LEASE_MS + 20);
      expect(await store.renew([session.lease(first)], LONG_MS)).toEqual(['renewed']);
      expect(await store.read(session.id)).toMatchObject({ state: 'owned', epoch: first.view.epoch, rev: 1 });
    });

    test('hold keeps the session for its owner, and says so once', async () => {
      const { store } = harness;
      const session = await bench.session();
      const lease = session.lease(await store.claim(session.claim('c_1')));
      expect(await store.hold([lease], 2 * LONG_MS)).toEqual([true]);
      const held = await store.read(session.id);
      expect(held).toMatchObject({ state: 'held', epoch: lease.epoch, rev: 2, connectionId: 'c_1' });
      expect(held.deadlineMs - held.nowMs).toBeGreaterThan(LONG_MS);
      const events = await session.events();
      expect(events[1]).toMatchObject({ reason: 'disconnected', state: 'held', requestId: '', rev: 2 });
      expect(events[1]).toMatchObject({ previousConnectionId: 'c_1', deadlineMs: held.deadlineMs });
    });

    test('a late or repeated hold or renew moves no deadline', async () => {
      const { store } = harness;
      const session = await bench.session();
      const first = await store.claim(session.claim('c_1'));
      const lease = session.lease(first);
      await store.hold([lease], LONG_MS);
      const held = await store.read(session.id);
      await harness.wait(5);
      expect(await store.hold([lease], 2 * LONG_MS)).toEqual([false]);
      expect(await store.renew([lease], 2 * LONG_MS)).toEqual(['lost']);
      expect((await store.read(session.id)).deadlineMs).toBe(held.deadlineMs);
      const second = await store.reclaim(session.reclaim('c_2', first.tokenHash));
      expect(await store.hold([lease], 1)).toEqual([false]);
      expect(await store.renew([lease], 1)).toEqual(['lost']);
      expect(await store.read(session.id)).toMatchObject({ state: 'owned', deadlineMs: second.view.deadlineMs });
      expect(await session.events()).toHaveLength(3);
    });

    test('a batch of holds answers in order', async () => {
      const { store } = harness;
      const sessions = await Promise.all(Array.from({ length: 20 }, () => bench.session()));
      const leases = await Promise.all(
        sessions.map(async (session) => session.lease(await store.claim(session.claim('c_1')))),
      );
      const fenced = leases.map((lease, i) => (i % 2 === 0 ? lease : { ...lease, epoch: 1 }));
      expect(await store.hold(fenced, LONG_MS)).toEqual(leases.map((_, i) => i % 2 === 0));
    });

    test.each(['released', 'unsubscribed', 'revoked'] as const)('release frees at once: %s', async (reason) => {
      const { store } = harness;
      const session = await bench.session();
      const lease = session.lease(await store.claim(session.claim('c_1')));
      const request = session.release(lease, { reason });
      expect(await store.release(request)).toBe(true);
      expect(await store.read(session.id)).toMatchObject({
        state: 'free',
        epoch: lease.epoch,
        rev: 2,
        connectionId: '',
        nodeId: '',
        principal: '',
        deadlineMs: 0,
      });
      const cause = { reason, requestId: request.requestId, previousConnectionId: 'c_1', state: 'free' };
      expect((await session.events())[1]).toMatchObject(cause);
    });

    test('release frees a held session, whose token is no good then', async () => {
      const { store } = harness;
      const session = await bench.session();
      const first = await store.claim(session.claim('c_1'));
      await store.hold([session.lease(first)], LONG_MS);
      expect(await store.release(session.release(session.lease(first)))).toBe(true);
      const outcome = await store.reclaim(session.reclaim('c_2', first.tokenHash, { claimIfExpired: false }));
      expect(outcome).toMatchObject({ result: 'unclaimed', tokenExpired: true, view: { state: 'free' } });
    });

    test('release is fenced, and the same request again is answered the same', async () => {
      const { store } = harness;
      const session = await bench.session();
      const lease = session.lease(await store.claim(session.claim('c_1')));
      expect(await store.release(session.release({ ...lease, epoch: lease.epoch - 1 }))).toBe(false);
      expect(await store.release(session.release({ ...lease, connectionId: 'c_2' }))).toBe(false);
      const request = session.release(lease);
      expect(await store.release(request)).toBe(true);
      expect(await harness.other.release(request)).toBe(true);
      expect(await store.release(session.release(lease))).toBe(false);
      expect(await session.events()).toHaveLength(2);
    });

    test('release of a session whose deadline has passed is too late', async () => {
      const { store } = harness;
      const session = await bench.session();
      const first = await store.claim(session.claim('c_1', { leaseMs: LEASE_MS }));
      await harness.wait(LEASE_MS + 20);
      expect(await store.release(session.release(session.lease(first)))).toBe(false);
      expect((await session.events()).map(({ reason }) => reason)).toEqual(['claimed', 'expired']);
    });

    test('the session’s lock does not keep its owner from renewing, leaving or releasing', async () => {
      const { store, lock } = harness;
      const session = await bench.session();
      const lease = session.lease(await store.claim(session.claim('c_1')));
      await lock.withLock(session.id, 1_000, async () => {
        expect(await store.renew([lease], LONG_MS)).toEqual(['renewed']);
        expect(await store.hold([lease], LONG_MS)).toEqual([true]);
        expect(await store.release(session.release(lease))).toBe(true);
      });
    });

    test('peek answers in order, for sessions without a record too, and writes nothing', async () => {
      const { store } = harness;
      const [mine, unknown] = [await bench.session(), await bench.session()];
      const first = await store.claim(mine.claim('c_1', { leaseMs: LEASE_MS }));
      await harness.wait(LEASE_MS + 20);
      const [none, due] = await harness.other.peek([unknown.id, mine.id]);
      expect(none).toMatchObject({ state: 'free', epoch: 0, rev: 0, connectionId: '', deadlineMs: 0 });
      expect(due).toEqual({ ...first.view, nowMs: due?.nowMs });
      expect(due?.nowMs).toBeGreaterThan(first.view.deadlineMs);
      expect(await mine.events()).toHaveLength(1);
      expect(await store.peek([])).toEqual([]);
    });

    test('read releases a session whose deadline has passed', async () => {
      const { store } = harness;
      const session = await bench.session();
      const first = await store.claim(session.claim('c_1', { leaseMs: LEASE_MS }));
      await harness.wait(LEASE_MS + 20);
      expect(await store.read(session.id)).toMatchObject({ state: 'free', epoch: first.view.epoch, rev: 2 });
      expect((await session.events()).map(({ reason }) => reason)).toEqual(['claimed', 'expired']);
    });
  });
}
