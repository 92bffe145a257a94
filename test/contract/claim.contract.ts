import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Bench, freshHash, LEASE_MS, LONG_MS, type MakeHarness, type StoreHarness, startedHarness } from './harness.js';

export function claimContract(make: MakeHarness): void {
  describe('claim', () => {
    let harness: StoreHarness;
    let bench: Bench;

    beforeAll(async () => {
      harness = await startedHarness(make);
      bench = new Bench(harness);
    });

    afterAll(() => harness.close());

    test('a free session becomes the first caller’s', async () => {
      const { store } = harness;
      const session = await bench.session();
      const request = session.claim('c_1');
      const outcome = await store.claim(request);
      expect(outcome).toMatchObject({ result: 'owned', replayed: false, tokenExpired: false });
      expect(outcome.tokenHash).toBe(request.tokenHash);
      expect(outcome.view).toMatchObject({
        state: 'owned',
        rev: 1,
        connectionId: 'c_1',
        nodeId: 'node-1',
        principal: 'principal-1',
      });
      expect(outcome.view.deadlineMs - outcome.view.nowMs).toBe(LONG_MS);
      expect(Number.isSafeInteger(outcome.view.epoch)).toBe(true);
      const cause = { kind: 'ownership', sessionId: session.id, reason: 'claimed', requestId: request.requestId };
      expect(await session.events()).toEqual([{ ...outcome.view, ...cause, previousConnectionId: '' }]);
      const { nowMs: _, ...view } = outcome.view;
      expect(await store.read(session.id)).toMatchObject(view);
    });

    test('an owned session is nobody else’s', async () => {
      const session = await bench.session();
      const first = await harness.store.claim(session.claim('c_1'));
      const second = await harness.other.claim(session.claim('c_2'));
      expect(second.result).toBe('unclaimed');
      expect(second.view).toEqual({ ...first.view, nowMs: second.view.nowMs });
      expect(await session.events()).toHaveLength(1);
    });

    test('a held session is nobody else’s', async () => {
      const { store } = harness;
      const session = await bench.session();
      const owner = await store.claim(session.claim('c_1'));
      await store.hold([session.lease(owner)], LONG_MS);
      const outcome = await store.claim(session.claim('c_2', { mode: 'claim' }));
      expect(outcome).toMatchObject({ result: 'unclaimed', view: { state: 'held', connectionId: 'c_1' } });
    });

    test('of 100 concurrent claims one wins', async () => {
      const session = await bench.session();
      const storeOf = (i: number) => (i % 2 === 0 ? harness.store : harness.other);
      const outcomes = await Promise.all(
        Array.from({ length: 100 }, (_, i) => storeOf(i).claim(session.claim(`c_${i}`))),
      );
      expect(outcomes.filter((outcome) => outcome.result === 'owned')).toHaveLength(1);
      expect(new Set(outcomes.map((outcome) => outcome.view.epoch)).size).toBe(1);
      expect(await session.events()).toHaveLength(1);
    });

    test('the same request again is answered the same and changes nothing', async () => {
      const session = await bench.session();
      const request = session.claim('c_1');
      const first = await harness.store.claim(request);
      await harness.wait(5);
      const again = await harness.other.claim({ ...request, tokenHash: freshHash() });
      expect(again).toEqual({ ...first, view: { ...first.view, nowMs: again.view.nowMs } });
      expect(await session.events()).toHaveLength(1);
    });

    test('the owner that asks again gets a fresh token at the same epoch', async () => {
      const { store } = harness;
      const session = await bench.session();
      const old = session.claim('c_1');
      const first = await store.claim(old);
      await harness.wait(5);
      const again = session.claim('c_1', { mode: 'claim' });
      const outcome = await store.claim(again);
      expect(outcome).toMatchObject({ result: 'owned', replayed: false, tokenHash: again.tokenHash });
      expect(outcome.view).toMatchObject({ epoch: first.view.epoch, rev: first.view.rev });
      expect(outcome.view.deadlineMs).toBeGreaterThan(first.view.deadlineMs);
      expect(await session.events()).toHaveLength(1);
      const withOld = await store.reclaim(session.reclaim('c_2', old.tokenHash));
      expect(withOld).toMatchObject({ result: 'unclaimed', tokenExpired: true });
    });

    test('asking again is an attempt that can be repeated', async () => {
      const { store } = harness;
      const session = await bench.session();
      const first = await store.claim(session.claim('c_1'));
      await store.reclaim(session.reclaim('c_2', first.tokenHash, { attemptHash: freshHash() }));
      const attemptHash = freshHash();
      const asked = await store.claim(session.claim('c_2', { mode: 'claim', attemptHash }));
      const again = await store.claim(session.claim('c_3', { mode: 'claim', attemptHash }));
      expect(again).toMatchObject({ result: 'owned', replayed: true, tokenHash: asked.tokenHash });
    });

    test('a repeated attempt from another connection takes the session with the token it already has', async () => {
      const { store } = harness;
      const session = await bench.session();
      const attemptHash = freshHash();
      const request = session.claim('c_1', { attemptHash });
      const first = await store.claim(request);
      const again = await harness.other.claim(session.claim('c_2', { attemptHash }));
      expect(again).toMatchObject({ result: 'owned', replayed: true, tokenHash: request.tokenHash });
      expect(again.view.connectionId).toBe('c_2');
      expect(again.view.epoch).toBeGreaterThan(first.view.epoch);
      expect(await store.renew([session.lease(first)], LONG_MS)).toEqual(['lost']);
      const events = await session.events();
      expect(events.map(({ reason }) => reason)).toEqual(['claimed', 'reclaimed']);
      expect(events[1]).toMatchObject({ previousConnectionId: 'c_1', connectionId: 'c_2' });
    });

    test('a repeated attempt from the owner itself changes nothing', async () => {
      const { store } = harness;
      const session = await bench.session();
      const request = session.claim('c_1', { attemptHash: freshHash() });
      const first = await store.claim(request);
      await harness.wait(5);
      const again = await store.claim({ ...session.claim('c_1'), attemptHash: request.attemptHash });
      expect(again).toMatchObject({ result: 'owned', replayed: true, tokenHash: request.tokenHash });
      expect(again.view).toEqual({ ...first.view, nowMs: again.view.nowMs });
      expect(await session.events()).toHaveLength(1);
    });

    test('a repeated attempt takes a held session back', async () => {
      const { store } = harness;
      const session = await bench.session();
      const attemptHash = freshHash();
      const first = await store.claim(session.claim('c_1', { attemptHash }));
      await store.hold([session.lease(first)], LONG_MS);
      const again = await store.claim(session.claim('c_2', { attemptHash, mode: 'claim' }));
      expect(again).toMatchObject({ result: 'owned', replayed: true, tokenHash: first.tokenHash });
      expect(again.view).toMatchObject({ state: 'owned', connectionId: 'c_2', rev: 3 });
    });

    test('an attempt is somebody’s: no other principal and no empty attempt repeats it', async () => {
      const { store } = harness;
      const session = await bench.session();
      const attemptHash = freshHash();
      await store.claim(session.claim('c_1', { attemptHash }));
      const stranger = session.claim('c_2', { attemptHash, principal: 'principal-2' });
      expect((await store.claim(stranger)).result).toBe('unclaimed');
      expect((await store.claim(session.claim('c_2', { attemptHash: freshHash() }))).result).toBe('unclaimed');
      const other = await bench.session();
      await store.claim(other.claim('c_1'));
      expect((await store.claim(other.claim('c_2'))).result).toBe('unclaimed');
    });

    test('repeating an attempt does not lengthen the time in which it may be repeated', async () => {
      const { store, timings } = harness;
      const session = await bench.session();
      const attemptHash = freshHash();
      await store.claim(session.claim('c_1', { attemptHash }));
      await harness.wait(timings.attemptWindowMs / 2);
      expect((await store.claim(session.claim('c_2', { attemptHash }))).result).toBe('owned');
      await harness.wait(timings.attemptWindowMs / 2 + 20);
      expect((await store.claim(session.claim('c_3', { attemptHash }))).result).toBe('unclaimed');
    });

    test('a claim of a session whose deadline has passed publishes the release first', async () => {
      const { store } = harness;
      const session = await bench.session();
      const first = await store.claim(session.claim('c_1', { leaseMs: LEASE_MS }));
      await harness.wait(LEASE_MS + 20);
      const second = await store.claim(session.claim('c_2'));
      expect(second).toMatchObject({ result: 'owned', view: { rev: 3, connectionId: 'c_2' } });
      expect(second.view.epoch).toBeGreaterThan(first.view.epoch);
      const events = await session.events();
      expect(events.map(({ reason, rev }) => [reason, rev])).toEqual([
        ['claimed', 1],
        ['expired', 2],
        ['claimed', 3],
      ]);
      expect(events[1]).toMatchObject({ state: 'free', previousConnectionId: 'c_1', requestId: '', connectionId: '' });
      expect(events[2]?.previousConnectionId).toBe('');
    });

    test.each([
      ['subscribe', 'claimed'],
      ['claim', 'claimed'],
      ['handover', 'handed_over'],
      ['reestablish', 'reestablished'],
    ] as const)('mode %s is published as %s', async (mode, reason) => {
      const session = await bench.session();
      expect((await harness.store.claim(session.claim('c_1', { mode }))).result).toBe('owned');
      expect(await session.events()).toMatchObject([{ reason }]);
    });

    test('only a session without any record is re-established', async () => {
      const { store } = harness;
      const session = await bench.session();
      const attemptHash = freshHash();
      const owner = await store.claim(session.claim('c_1', { attemptHash }));
      const request = session.claim('c_2', { mode: 'reestablish', attemptHash });
      expect((await store.claim(request)).result).toBe('unclaimed');
      await store.release(session.release(session.lease(owner)));
      expect((await store.claim(request)).result).toBe('unclaimed');
    });

    test('another’s lock makes a claim wait, but not one that could not succeed', async () => {
      const { store, lock, timings } = harness;
      const session = await bench.session();
      await lock.withLock(session.id, 1_000, async () => {
        expect((await store.claim(session.claim('c_1'))).result).toBe('busy');
      });
      const leaseMs = timings.busyExtensionMs / 2;
      await store.claim(session.claim('c_1', { leaseMs }));
      await lock.withLock(session.id, 1_000, async () => {
        expect((await store.claim(session.claim('c_2'))).result).toBe('unclaimed');
        const busy = await store.claim(session.claim('c_1'));
        expect(busy.result).toBe('busy');
        expect(busy.view.deadlineMs - busy.view.nowMs).toBe(timings.busyExtensionMs);
      });
      expect(await session.events()).toHaveLength(1);
    });

    test('the session’s lock keeps out all but who holds it', async () => {
      const { store, lock } = harness;
      const session = await bench.session();
      await lock.withLock(session.id, 1_000, async (lockValue) => {
        expect((await store.claim(session.claim('c_2', { lockValue: 'another' }))).result).toBe('busy');
        expect((await store.claim(session.claim('c_1', { lockValue }))).result).toBe('owned');
        expect((await store.claim(session.claim('c_1', { lockValue }))).result).toBe('owned');
      });
      const free = await bench.session();
      expect((await store.claim(free.claim('c_1', { lockValue: 'given up' }))).result).toBe('owned');
    });

    test('a request that succeeded is answered even under another’s lock', async () => {
      const { store, lock } = harness;
      const session = await bench.session();
      const request = session.claim('c_1');
      await store.claim(request);
      await lock.withLock(session.id, 1_000, async () => {
        expect((await store.claim(request)).result).toBe('owned');
      });
    });
  });
}
