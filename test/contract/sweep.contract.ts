import { describe, expect, test } from 'vitest';
import { Bench, LEASE_MS, LONG_MS, type MakeHarness, startedHarness, sweepAll } from './harness.js';

/** More than there are partitions in any store, so that some partition has two. */
const CROWD = 65;

export function sweepContract(make: MakeHarness): void {
  describe('sweep', () => {
    test('releases what is due exactly once, whoever sweeps', async () => {
      const harness = await startedHarness(make);
      const { store, other } = harness;
      const bench = new Bench(harness);
      const sessions = await Promise.all(Array.from({ length: CROWD }, () => bench.session()));
      const standing = await bench.session();
      await store.claim(standing.claim('c_1'));
      for (const session of sessions) await store.claim(session.claim('c_1', { leaseMs: LEASE_MS }));
      await harness.wait(LEASE_MS + 20);
      const released = (await Promise.all([sweepAll(store), sweepAll(other), sweepAll(store)])).flat();
      expect(released.sort()).toEqual(sessions.map(({ id }) => id).sort());
      for (const session of sessions) {
        const events = await session.events();
        expect(events.map(({ reason }) => reason)).toEqual(['claimed', 'expired']);
        expect(events[1]).toMatchObject({ state: 'free', rev: 2, previousConnectionId: 'c_1', requestId: '' });
      }
      expect((await store.read(standing.id)).state).toBe('owned');
      await harness.close();
    });

    test('releases at most as many as asked and says when there are more', async () => {
      const harness = await startedHarness(make);
      const { store } = harness;
      const bench = new Bench(harness);
      const sessions = await Promise.all(Array.from({ length: CROWD }, () => bench.session()));
      for (const session of sessions) await store.claim(session.claim('c_1', { leaseMs: LEASE_MS }));
      await harness.wait(LEASE_MS + 20);
      const outcomes = [];
      for (let partition = 0; partition < store.partitions; partition += 1) {
        outcomes.push(await store.sweep(partition, 1));
      }
      expect(outcomes.every(({ released }) => released.length <= 1)).toBe(true);
      expect(outcomes.some(({ more }) => more)).toBe(true);
      const rest = await sweepAll(store, 1);
      const released = [...outcomes.flatMap((outcome) => outcome.released), ...rest];
      expect(released.sort()).toEqual(sessions.map(({ id }) => id).sort());
      await harness.close();
    });

    test('does not look at the session’s lock', async () => {
      const harness = await startedHarness(make);
      const session = await new Bench(harness).session();
      await harness.store.claim(session.claim('c_1', { leaseMs: LEASE_MS }));
      await harness.wait(LEASE_MS + 20);
      await harness.lock.withLock(session.id, 1_000, async () => {
        expect(await sweepAll(harness.store)).toEqual([session.id]);
      });
      await harness.close();
    });

    test('leaves alone what was renewed, held or taken meanwhile', async () => {
      const harness = await startedHarness(make);
      const { store } = harness;
      const bench = new Bench(harness);
      const [renewed, held, freed] = [await bench.session(), await bench.session(), await bench.session()];
      const leaseMs = LEASE_MS;
      await store.renew([renewed.lease(await store.claim(renewed.claim('c_1', { leaseMs })))], LONG_MS);
      await store.hold([held.lease(await store.claim(held.claim('c_1', { leaseMs })))], LONG_MS);
      await store.release(freed.release(freed.lease(await store.claim(freed.claim('c_1', { leaseMs })))));
      await harness.wait(LEASE_MS + 20);
      expect(await sweepAll(store)).toEqual([]);
      await harness.close();
    });

    test('the first sweep ever releases nothing before a whole lease has passed', async () => {
      const harness = await make();
      const { store } = harness;
      const session = await new Bench(harness).session();
      await store.claim(session.claim('c_1', { leaseMs: LEASE_MS }));
      await harness.wait(LEASE_MS + 20);
      expect((await store.claim(session.claim('c_2'))).result).toBe('unclaimed');
      for (let partition = 0; partition < store.partitions; partition += 1) {
        expect(await store.sweep(partition, 10)).toEqual({ released: [], more: false, guarded: true });
      }
      expect(await sweepAll(store)).toEqual([]);
      await harness.wait(LEASE_MS + 20);
      expect(await sweepAll(store)).toEqual([session.id]);
      await harness.close();
    });

    test('after a silence nothing lapses before its own lease has passed, and an owner can renew', async () => {
      const [gapMs, leaseMs] = [800, 300];
      const harness = await startedHarness(make, { maxSweepGapMs: gapMs });
      const { store, other } = harness;
      const bench = new Bench(harness);
      const [alive, gone] = [await bench.session(), await bench.session()];
      await sweepAll(store);
      const lease = alive.lease(await store.claim(alive.claim('c_1', { leaseMs })));
      await store.claim(gone.claim('c_1', { leaseMs }));
      const longer = await bench.session();
      await store.claim(longer.claim('c_1', { leaseMs: 700 }));
      await harness.wait(gapMs + 20);
      // The silence itself is noticed, before anybody sweeps.
      expect((await other.claim(gone.claim('c_2'))).result).toBe('unclaimed');
      expect(await sweepAll(other)).toEqual([]);
      expect((await store.read(gone.id)).state).toBe('owned');
      expect(await store.renew([lease], LONG_MS)).toEqual(['renewed']);
      await harness.wait(leaseMs + 20);
      expect(await sweepAll(other)).toEqual([gone.id]);
      expect((await store.read(longer.id)).state).toBe('owned');
      expect(await store.read(alive.id)).toMatchObject({ state: 'owned', epoch: lease.epoch, rev: 1 });
      expect((await gone.events()).map(({ reason }) => reason)).toEqual(['claimed', 'expired']);
      await harness.close();
    });

    test('a record is forgotten in the end, and the epoch goes on', async () => {
      const harness = await startedHarness(make, { retentionMs: 100 });
      const { store } = harness;
      const session = await new Bench(harness).session();
      const first = await store.claim(session.claim('c_1', { leaseMs: LEASE_MS }));
      await store.release(session.release(session.lease(first)));
      await harness.wait(LEASE_MS + 120);
      await sweepAll(store);
      expect(await store.peek([session.id])).toMatchObject([{ epoch: 0, rev: 0 }]);
      expect(await store.renew([session.lease(first)], LONG_MS)).toEqual(['missing']);
      const again = await store.claim(session.claim('c_1', { mode: 'reestablish' }));
      expect(again.result).toBe('owned');
      expect(again.view.epoch).toBeGreaterThan(first.view.epoch);
      await harness.close();
    });
  });
}
