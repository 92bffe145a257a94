import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Bench, LONG_MS, type MakeHarness, type StoreHarness, startedHarness } from './harness.js';

export function transferContract(make: MakeHarness): void {
  describe('transfer', () => {
    let harness: StoreHarness;
    let bench: Bench;

    beforeAll(async () => {
      harness = await startedHarness(make);
      bench = new Bench(harness);
    });

    afterAll(() => harness.close());

    test.each(['forced', 'transferred'] as const)('gives the session to another connection: %s', async (reason) => {
      const { store, lock } = harness;
      const session = await bench.session();
      const first = await store.claim(session.claim('c_1'));
      await lock.withLock(session.id, 1_000, async (lockValue) => {
        const request = session.transfer(first.view.epoch, 'c_2', { lockValue, reason });
        const { result, view } = await harness.other.transfer(request);
        expect(result).toBe('done');
        expect(view).toMatchObject({ state: 'owned', connectionId: 'c_2', rev: 2 });
        expect(view.epoch).toBeGreaterThan(first.view.epoch);
        expect(view.deadlineMs - view.nowMs).toBe(LONG_MS);
        const cause = { reason, previousConnectionId: 'c_1', requestId: request.requestId };
        expect((await session.events())[1]).toMatchObject({ ...view, ...cause });
      });
      expect(await store.renew([session.lease(first)], LONG_MS)).toEqual(['lost']);
      expect((await store.reclaim(session.reclaim('c_1', first.tokenHash))).tokenExpired).toBe(true);
    });

    test('the new owner’s token reclaims', async () => {
      const { store } = harness;
      const session = await bench.session();
      const first = await store.claim(session.claim('c_1'));
      const request = session.transfer(first.view.epoch, 'c_2');
      await store.transfer(request);
      const outcome = await store.reclaim(session.reclaim('c_3', request.target?.tokenHash ?? ''));
      expect(outcome.result).toBe('owned');
    });

    test('a session that was never owned can be given away', async () => {
      const session = await bench.session();
      expect((await harness.store.transfer(session.transfer(0, 'c_1'))).result).toBe('done');
      expect(await session.events()).toMatchObject([{ reason: 'transferred', rev: 1, previousConnectionId: '' }]);
    });

    test('a held session can be given away', async () => {
      const { store } = harness;
      const session = await bench.session();
      const first = await store.claim(session.claim('c_1'));
      await store.hold([session.lease(first)], LONG_MS);
      const { result, view } = await store.transfer(session.transfer(first.view.epoch, 'c_2'));
      expect(result).toBe('done');
      expect(view).toMatchObject({ state: 'owned', connectionId: 'c_2' });
    });

    test('without a target it frees the session, which may be free already', async () => {
      const { store } = harness;
      const session = await bench.session();
      const first = await store.claim(session.claim('c_1'));
      const { result, view } = await store.transfer(session.transfer(first.view.epoch));
      expect(result).toBe('done');
      expect(view).toMatchObject({ state: 'free', epoch: first.view.epoch, rev: 2, connectionId: '' });
      const again = await store.transfer(session.transfer(first.view.epoch));
      expect(again).toMatchObject({ result: 'done', view: { rev: 2 } });
      const events = await session.events();
      expect(events).toHaveLength(2);
      expect(events[1]).toMatchObject({ reason: 'removed', state: 'free', previousConnectionId: 'c_1' });
    });

    test('commits at the expected epoch only', async () => {
      const { store } = harness;
      const session = await bench.session();
      const first = await store.claim(session.claim('c_1'));
      const second = await store.reclaim(session.reclaim('c_2', first.tokenHash));
      const { result, view } = await store.transfer(session.transfer(first.view.epoch, 'c_3'));
      expect(result).toBe('stale');
      expect(view).toMatchObject({ connectionId: 'c_2', epoch: second.view.epoch });
      expect(await session.events()).toHaveLength(2);
    });

    test('is busy under another’s lock, and needs none that is gone', async () => {
      const { store, lock } = harness;
      const session = await bench.session();
      const { view } = await store.claim(session.claim('c_1'));
      let lockValue = '';
      await lock.withLock(session.id, 1_000, async (value) => {
        lockValue = value;
      });
      const request = session.transfer(view.epoch, 'c_2', { lockValue });
      await lock.withLock(session.id, 1_000, async () => {
        expect(await store.transfer(request)).toMatchObject({ result: 'busy', view: { connectionId: 'c_1' } });
      });
      expect((await store.transfer(request)).result).toBe('done');
    });

    test('is done under a lock that was waited for', async () => {
      const { store, lock } = harness;
      const session = await bench.session();
      const { view } = await store.claim(session.claim('c_1'));
      const first = lock.withLock(session.id, 1_000, () => new Promise((resolve) => setTimeout(resolve, 20)));
      const second = await lock.withLock(session.id, 2_000, (lockValue) =>
        store.transfer(session.transfer(view.epoch, 'c_2', { lockValue })),
      );
      await first;
      expect(second.result).toBe('done');
    });

    test('the same request again is answered the same and changes nothing', async () => {
      const { store, lock } = harness;
      const session = await bench.session();
      const first = await store.claim(session.claim('c_1'));
      const given = session.transfer(first.view.epoch, 'c_2');
      const { view } = await store.transfer(given);
      await lock.withLock(session.id, 1_000, async () => {
        const again = await harness.other.transfer(given);
        expect(again).toEqual({ result: 'done', view: { ...view, nowMs: again.view.nowMs } });
      });
      const freed = session.transfer(view.epoch);
      await store.transfer(freed);
      expect(await store.transfer(freed)).toMatchObject({ result: 'done', view: { state: 'free' } });
      expect(await session.events()).toHaveLength(3);
    });
  });
}
