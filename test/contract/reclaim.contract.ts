import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Bench, freshHash, LEASE_MS, LONG_MS, type MakeHarness, type StoreHarness, startedHarness } from './harness.js';

export function reclaimContract(make: MakeHarness): void {
  describe('reclaim', () => {
    let harness: StoreHarness;
    let bench: Bench;

    beforeAll(async () => {
      harness = await startedHarness(make);
      bench = new Bench(harness);
    });

    afterAll(() => harness.close());

    test('the current token takes over from a connection that still looks alive', async () => {
      const { store } = harness;
      const session = await bench.session();
      const first = await store.claim(session.claim('c_1'));
      const request = session.reclaim('c_2', first.tokenHash);
      const outcome = await harness.other.reclaim(request);
      expect(outcome).toMatchObject({ result: 'owned', replayed: false, tokenHash: request.tokenHash });
      expect(outcome.view).toMatchObject({ state: 'owned', connectionId: 'c_2', rev: 2 });
      expect(outcome.view.epoch).toBeGreaterThan(first.view.epoch);
      expect(await store.renew([session.lease(first)], LONG_MS)).toEqual(['lost']);
      const cause = { reason: 'reclaimed', previousConnectionId: 'c_1', requestId: request.requestId };
      expect((await session.events())[1]).toMatchObject({ ...outcome.view, ...cause });
    });

    test('the current token takes a held session back', async () => {
      const { store } = harness;
      const session = await bench.session();
      const first = await store.claim(session.claim('c_1'));
      await store.hold([session.lease(first)], LONG_MS);
      const outcome = await store.reclaim(session.reclaim('c_2', first.tokenHash));
      expect(outcome).toMatchObject({ result: 'owned', view: { state: 'owned', connectionId: 'c_2', rev: 3 } });
      expect(outcome.view.deadlineMs - outcome.view.nowMs).toBe(LONG_MS);
    });

    test('a token is used once', async () => {
      const { store } = harness;
      const session = await bench.session();
      const first = await store.claim(session.claim('c_1'));
      const winner = await store.reclaim(session.reclaim('c_2', first.tokenHash, { attemptHash: freshHash() }));
      for (const attemptHash of ['', freshHash()]) {
        const late = await store.reclaim(session.reclaim('c_3', first.tokenHash, { attemptHash }));
        expect(late).toMatchObject({ result: 'token_used', tokenExpired: false });
        expect(late.view).toEqual({ ...winner.view, nowMs: late.view.nowMs });
      }
      expect(await session.events()).toHaveLength(2);
    });

    test('without an attempt a token is used once even by the same connection', async () => {
      const { store } = harness;
      const session = await bench.session();
      const first = await store.claim(session.claim('c_1'));
      await store.reclaim(session.reclaim('c_2', first.tokenHash));
      expect((await store.reclaim(session.reclaim('c_2', first.tokenHash))).result).toBe('token_used');
    });

    test('of 100 concurrent presentations by different attempts one wins', async () => {
      const session = await bench.session();
      const storeOf = (i: number) => (i % 2 === 0 ? harness.store : harness.other);
      const first = await harness.store.claim(session.claim('c_0'));
      const outcomes = await Promise.all(
        Array.from({ length: 100 }, (_, i) =>
          storeOf(i).reclaim(session.reclaim(`c_${i + 1}`, first.tokenHash, { attemptHash: freshHash() })),
        ),
      );
      const results = outcomes.map((outcome) => outcome.result);
      expect(results.filter((result) => result === 'owned')).toHaveLength(1);
      expect(results.filter((result) => result === 'token_used')).toHaveLength(99);
      expect(await session.events()).toHaveLength(2);
    });

    test('of 100 concurrent presentations by one attempt all get the same token, and the last one the session', async () => {
      const session = await bench.session();
      const storeOf = (i: number) => (i % 2 === 0 ? harness.store : harness.other);
      const first = await harness.store.claim(session.claim('c_0'));
      const attemptHash = freshHash();
      const outcomes = await Promise.all(
        Array.from({ length: 100 }, (_, i) =>
          storeOf(i).reclaim(session.reclaim(`c_${i + 1}`, first.tokenHash, { attemptHash })),
        ),
      );
      expect(outcomes.every((outcome) => outcome.result === 'owned')).toBe(true);
      expect(new Set(outcomes.map((outcome) => outcome.tokenHash)).size).toBe(1);
      const epochs = outcomes.map((outcome) => outcome.view.epoch);
      expect(new Set(epochs).size).toBe(100);
      expect((await harness.store.read(session.id)).epoch).toBe(Math.max(...epochs));
    });

    test('a repeated attempt from the owner itself changes nothing', async () => {
      const { store } = harness;
      const session = await bench.session();
      const first = await store.claim(session.claim('c_1'));
      const attemptHash = freshHash();
      const winner = await store.reclaim(session.reclaim('c_2', first.tokenHash, { attemptHash }));
      const again = await store.reclaim(session.reclaim('c_2', first.tokenHash, { attemptHash }));
      expect(again).toMatchObject({ result: 'owned', replayed: true, tokenHash: winner.tokenHash });
      expect(again.view).toEqual({ ...winner.view, nowMs: again.view.nowMs });
      expect(await session.events()).toHaveLength(2);
    });

    test('a repeated attempt from another connection keeps the token good that the client has', async () => {
      const { store } = harness;
      const session = await bench.session();
      const first = await store.claim(session.claim('c_1'));
      const attemptHash = freshHash();
      const winner = await store.reclaim(session.reclaim('c_2', first.tokenHash, { attemptHash }));
      const again = await store.reclaim(session.reclaim('c_3', first.tokenHash, { attemptHash }));
      expect(again).toMatchObject({ result: 'owned', replayed: true, tokenHash: winner.tokenHash });
      expect(again.view.epoch).toBeGreaterThan(winner.view.epoch);
      expect((await store.reclaim(session.reclaim('c_4', winner.tokenHash))).result).toBe('owned');
    });

    test('repeating an attempt does not lengthen the time in which it may be repeated', async () => {
      const { store, timings } = harness;
      const session = await bench.session();
      const first = await store.claim(session.claim('c_1'));
      const attemptHash = freshHash();
      await store.reclaim(session.reclaim('c_2', first.tokenHash, { attemptHash }));
      await harness.wait(timings.attemptWindowMs / 2);
      const repeated = await store.reclaim(session.reclaim('c_3', first.tokenHash, { attemptHash }));
      expect(repeated).toMatchObject({ result: 'owned', replayed: true });
      await harness.wait(timings.attemptWindowMs / 2 + 20);
      expect((await store.reclaim(session.reclaim('c_4', first.tokenHash, { attemptHash }))).result).toBe('token_used');
    });

    test('the same request again is answered the same and changes nothing', async () => {
      const { store } = harness;
      const session = await bench.session();
      const first = await store.claim(session.claim('c_1'));
      const request = session.reclaim('c_2', first.tokenHash);
      const winner = await store.reclaim(request);
      const again = await harness.other.reclaim(request);
      expect(again).toEqual({ ...winner, view: { ...winner.view, nowMs: again.view.nowMs } });
      expect(await session.events()).toHaveLength(2);
    });

    test('a token that is no longer current makes a new subscription', async () => {
      const { store } = harness;
      const session = await bench.session();
      const first = await store.claim(session.claim('c_1'));
      const second = await store.reclaim(session.reclaim('c_2', first.tokenHash));
      await store.reclaim(session.reclaim('c_3', second.tokenHash));
      const watching = await store.reclaim(session.reclaim('c_4', first.tokenHash));
      expect(watching).toMatchObject({ result: 'unclaimed', tokenExpired: true, view: { connectionId: 'c_3' } });
    });

    test('after the grace period the token’s bearer claims like everybody', async () => {
      const { store } = harness;
      const session = await bench.session();
      const first = await store.claim(session.claim('c_1', { leaseMs: LEASE_MS }));
      await store.hold([session.lease(first)], LEASE_MS);
      await harness.wait(LEASE_MS + 20);
      const onlyWatching = session.reclaim('c_2', first.tokenHash, { claimIfExpired: false });
      expect(await store.reclaim(onlyWatching)).toMatchObject({
        result: 'unclaimed',
        tokenExpired: true,
        view: { state: 'free' },
      });
      const request = session.reclaim('c_2', first.tokenHash);
      const outcome = await store.reclaim(request);
      expect(outcome).toMatchObject({ result: 'owned', tokenExpired: true, tokenHash: request.tokenHash });
      const again = await store.reclaim(request);
      expect(again).toMatchObject({ result: 'owned', tokenExpired: true, view: { epoch: outcome.view.epoch } });
      const reasons = (await session.events()).map(({ reason }) => reason);
      expect(reasons).toEqual(['claimed', 'disconnected', 'expired', 'claimed']);
    });

    test('a token is bound to its principal', async () => {
      const { store } = harness;
      const session = await bench.session();
      const first = await store.claim(session.claim('c_1'));
      for (const principalRule of ['exact', 'restore', 'replace'] as const) {
        const thief = session.reclaim('c_2', first.tokenHash, { principal: 'principal-2', principalRule });
        expect(await store.reclaim(thief)).toMatchObject({ result: 'unclaimed', tokenExpired: true });
      }
      expect(await session.events()).toHaveLength(1);
    });

    test.each([
      ['restore', 'anon:1'],
      ['replace', 'anon:2'],
    ] as const)('an anonymous principal follows the rule %s', async (principalRule, expected) => {
      const { store } = harness;
      const session = await bench.session();
      const attemptHash = freshHash();
      const first = await store.claim(session.claim('c_1', { principal: 'anon:1' }));
      const options = { principal: 'anon:2', principalRule, attemptHash };
      const outcome = await store.reclaim(session.reclaim('c_2', first.tokenHash, options));
      expect(outcome).toMatchObject({ result: 'owned', view: { principal: expected } });
      const replayed = await store.reclaim(
        session.reclaim('c_3', first.tokenHash, { ...options, principal: 'anon:3' }),
      );
      const kept = principalRule === 'restore' ? 'anon:1' : 'anon:3';
      expect(replayed).toMatchObject({ result: 'owned', replayed: true, view: { principal: kept } });
    });

    test('waiting for another’s lock does not cost the session', async () => {
      const { store, lock, timings } = harness;
      const session = await bench.session();
      const first = await store.claim(session.claim('c_1'));
      await store.hold([session.lease(first)], LEASE_MS);
      const request = session.reclaim('c_2', first.tokenHash);
      await lock.withLock(session.id, 1_000, async () => {
        const busy = await store.reclaim(request);
        expect(busy).toMatchObject({ result: 'busy', view: { state: 'held', rev: 2 } });
        expect(busy.view.deadlineMs - busy.view.nowMs).toBe(timings.busyExtensionMs);
        await harness.wait(LEASE_MS + 20);
      });
      expect(await store.reclaim(request)).toMatchObject({ result: 'owned', tokenExpired: false });
    });

    test('the session’s lock keeps out all but who holds it', async () => {
      const { store, lock } = harness;
      const session = await bench.session();
      const { tokenHash } = await store.claim(session.claim('c_1'));
      await lock.withLock(session.id, 1_000, async (lockValue) => {
        const stranger = session.reclaim('c_3', tokenHash, { lockValue: 'another' });
        expect((await store.reclaim(stranger)).result).toBe('busy');
        expect((await store.reclaim(session.reclaim('c_2', tokenHash, { lockValue }))).result).toBe('owned');
      });
    });

    test('a lock neither shortens a deadline nor hides that a token was used', async () => {
      const { store, lock } = harness;
      const session = await bench.session();
      const first = await store.claim(session.claim('c_1'));
      const second = await store.reclaim(session.reclaim('c_2', first.tokenHash));
      await lock.withLock(session.id, 1_000, async () => {
        expect((await store.reclaim(session.reclaim('c_3', first.tokenHash))).result).toBe('token_used');
        const busy = await store.reclaim(session.reclaim('c_3', second.tokenHash));
        expect(busy).toMatchObject({ result: 'busy', view: { deadlineMs: second.view.deadlineMs } });
      });
    });
  });
}
