import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ClaimOutcome } from '../../src/session/ports.js';
import {
  Bench,
  LEASE_MS,
  LONG_MS,
  type MakeHarness,
  type StoreHarness,
  startedHarness,
  type TestSession,
} from './harness.js';

const policy = 'oldest_watcher';
const watcher = (connectionId: string) => ({ connectionId, nodeId: 'node-1', bootId: 'boot-1' });

export function watchersContract(make: MakeHarness): void {
  describe('oldest_watcher', () => {
    let harness: StoreHarness;
    let bench: Bench;

    beforeAll(async () => {
      harness = await startedHarness(make);
      bench = new Bench(harness);
    });

    afterAll(() => harness.close());

    const claim = (session: TestSession, connectionId: string): Promise<ClaimOutcome> =>
      harness.store.claim(session.claim(connectionId, { policy }));
    const handover = (session: TestSession, connectionId: string): Promise<ClaimOutcome> =>
      harness.store.claim(session.claim(connectionId, { policy, mode: 'handover' }));
    const release = (session: TestSession, owner: ClaimOutcome, staysWatching = false): Promise<boolean> =>
      harness.store.release(session.release(session.lease(owner), { policy, staysWatching }));

    test('a freed session is promised to who has watched longest', async () => {
      const session = await bench.session();
      const owner = await claim(session, 'c_1');
      expect((await claim(session, 'c_9')).result).toBe('unclaimed');
      await harness.store.read(session.id, watcher('c_3'));
      // Asking again does not lose the place.
      await claim(session, 'c_9');
      await release(session, owner);
      const early = await handover(session, 'c_3');
      expect(early).toMatchObject({ result: 'not_next', view: { state: 'free' } });
      expect(early.retryAfterMs).toBeGreaterThan(0);
      expect(early.retryAfterMs).toBeLessThanOrEqual(harness.timings.handoverPatienceMs);
      const next = await handover(session, 'c_9');
      expect(next.result).toBe('owned');
      expect((await session.events()).at(-1)).toMatchObject({ reason: 'handed_over', connectionId: 'c_9' });
      await release(session, next);
      expect((await claim(session, 'c_4')).result).toBe('not_next');
      expect((await handover(session, 'c_3')).result).toBe('owned');
    });

    test('a newcomer that was told to wait waits behind the others', async () => {
      const session = await bench.session();
      const owner = await claim(session, 'c_1');
      await claim(session, 'c_2');
      await release(session, owner);
      expect((await claim(session, 'c_3')).result).toBe('not_next');
      const second = await handover(session, 'c_2');
      await release(session, second);
      expect((await claim(session, 'c_4')).result).toBe('not_next');
      expect((await handover(session, 'c_3')).result).toBe('owned');
    });

    test('the promise ends with the patience, and with it the place of who did not come', async () => {
      const session = await bench.session();
      const owner = await claim(session, 'c_1');
      for (const connectionId of ['c_2', 'c_3', 'c_4']) await claim(session, connectionId);
      await release(session, owner);
      await harness.wait(harness.timings.handoverPatienceMs + 20);
      const taker = await handover(session, 'c_3');
      expect(taker.result).toBe('owned');
      await release(session, taker);
      expect((await handover(session, 'c_2')).result).toBe('not_next');
      expect((await handover(session, 'c_4')).result).toBe('owned');
    });

    test('who watches a session that was never owned keeps the place when another claims it', async () => {
      const session = await bench.session();
      await harness.store.read(session.id, watcher('c_1'));
      const owner = await claim(session, 'c_2');
      expect(owner.result).toBe('owned');
      await release(session, owner);
      expect((await claim(session, 'c_3')).result).toBe('not_next');
      expect((await handover(session, 'c_1')).result).toBe('owned');
    });

    test('who stops watching is not waited for', async () => {
      const session = await bench.session();
      const owner = await claim(session, 'c_1');
      await claim(session, 'c_2');
      await harness.store.unwatch(session.id, 'c_2');
      await release(session, owner);
      expect((await claim(session, 'c_3')).result).toBe('owned');
    });

    test('an owner that releases and stays goes to the end', async () => {
      const session = await bench.session();
      const owner = await claim(session, 'c_1');
      await claim(session, 'c_2');
      await release(session, owner, true);
      expect((await handover(session, 'c_1')).result).toBe('not_next');
      const second = await handover(session, 'c_2');
      await release(session, second);
      expect((await claim(session, 'c_3')).result).toBe('not_next');
      expect((await handover(session, 'c_1')).result).toBe('owned');
    });

    test('an owner is not on the list, however it became one', async () => {
      const session = await bench.session();
      const first = await claim(session, 'c_1');
      await claim(session, 'c_2');
      const { view } = await harness.store.transfer(session.transfer(first.view.epoch, 'c_2'));
      await harness.store.release(
        session.release({ sessionId: session.id, connectionId: 'c_2', epoch: view.epoch }, { policy }),
      );
      expect((await claim(session, 'c_3')).result).toBe('owned');
    });

    test('a watcher with an expired token waits like the others', async () => {
      const { store } = harness;
      const session = await bench.session();
      const first = await claim(session, 'c_1');
      const second = await store.reclaim(session.reclaim('c_2', first.tokenHash, { policy }));
      const third = await store.reclaim(session.reclaim('c_3', second.tokenHash, { policy }));
      await store.reclaim(session.reclaim('c_4', first.tokenHash, { policy }));
      await release(session, third);
      expect((await claim(session, 'c_5')).result).toBe('not_next');
      expect((await handover(session, 'c_4')).result).toBe('owned');
    });

    test('a session that lapses is promised too', async () => {
      const session = await bench.session();
      const owner = await harness.store.claim(session.claim('c_1', { policy: 'oldest_watcher', leaseMs: LEASE_MS }));
      await claim(session, 'c_2');
      await harness.wait(LEASE_MS);
      await harness.store.hold([session.lease(owner)], 1);
      await harness.wait(10);
      expect((await claim(session, 'c_3')).result).toBe('not_next');
      expect((await handover(session, 'c_2')).result).toBe('owned');
    });

    test('a handover that finds the session with its watcher already leaves its token alone', async () => {
      const session = await bench.session();
      const owner = await claim(session, 'c_1');
      const late = await handover(session, 'c_1');
      expect(late).toMatchObject({ result: 'unclaimed', view: { connectionId: 'c_1', epoch: owner.view.epoch } });
      expect((await harness.store.reclaim(session.reclaim('c_2', owner.tokenHash))).result).toBe('owned');
    });

    test('at most 128 wait', async () => {
      const session = await bench.session();
      const owner = await claim(session, 'c_1');
      const ids = Array.from({ length: 129 }, () => `c_${randomUUID()}`);
      for (const id of ids) await harness.store.read(session.id, watcher(id));
      for (const id of ids.slice(0, 128)) await harness.store.unwatch(session.id, id);
      await release(session, owner);
      expect((await claim(session, 'c_2')).result).toBe('owned');
    });

    test('under other policies nobody is waited for', async () => {
      const { store } = harness;
      const session = await bench.session();
      const owner = await store.claim(session.claim('c_1'));
      await store.claim(session.claim('c_2'));
      await store.release(session.release(session.lease(owner), { staysWatching: true }));
      const next = await store.claim(session.claim('c_3', { leaseMs: LONG_MS }));
      expect(next.result).toBe('owned');
      await release(session, next);
      expect((await claim(session, 'c_4')).result).toBe('owned');
    });
  });
}
