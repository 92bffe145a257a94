import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { LeaseRef } from '../../src/session/ports.js';
import { freshHash, LEASE_MS, LONG_MS } from './harness.js';
import {
  item,
  type MakeMessageHarness,
  MessageBench,
  type MessageHarness,
  resultsOf,
  textsOf,
} from './message-harness.js';

const ownerOf = ({ connectionId, epoch }: LeaseRef) => ({ connectionId, epoch });

export function conditionContract(make: MakeMessageHarness): void {
  describe('append on condition', () => {
    let harness: MessageHarness;
    let bench: MessageBench;

    beforeAll(async () => {
      harness = await make();
      bench = new MessageBench(harness);
    });

    afterAll(() => harness.close());

    const release = (lease: LeaseRef) =>
      harness.ownership.release({
        ...lease,
        requestId: randomUUID(),
        reason: 'released',
        policy: 'next_subscriber',
        staysWatching: false,
      });

    test('an owner’s message is accepted while it owns or holds the session', async () => {
      const stream = await bench.stream();
      const lease = await stream.claim('c_1');
      const owned = await stream.append([item('owned', { owner: ownerOf(lease) })]);
      await harness.ownership.hold([lease], LONG_MS);
      const held = await stream.append([item('held', { owner: ownerOf(lease) })]);
      expect([owned, held].flatMap(resultsOf)).toEqual(['accepted 1', 'accepted 2']);
    });

    test('a deadline that nobody acted on keeps nothing out', async () => {
      const stream = await bench.stream();
      const lease = await stream.claim('c_1', LEASE_MS);
      await harness.wait(LEASE_MS + 20);
      expect(resultsOf(await stream.append([item('a', { owner: ownerOf(lease) })]))).toEqual(['accepted 1']);
    });

    test.each([
      ['another connection', (lease: LeaseRef) => ({ ...lease, connectionId: 'c_2' })],
      ['an earlier epoch', (lease: LeaseRef) => ({ ...lease, epoch: lease.epoch - 1 })],
      ['no connection', (lease: LeaseRef) => ({ ...lease, connectionId: '' })],
    ])('a message of %s than the owner’s is refused', async (_, change) => {
      const stream = await bench.stream();
      const owner = ownerOf(change(await stream.claim('c_1')));
      // An empty id is nobody's, and must not pass for a message without owner.
      expect(resultsOf(await stream.append([item('a', { owner })]))).toEqual(['not_owner']);
      expect(await stream.entries()).toEqual([]);
    });

    test('a message of who was the owner is refused, as of one who never was', async () => {
      const [freed, taken, never] = [await bench.stream(), await bench.stream(), await bench.stream()];
      const old = await freed.claim('c_1');
      await release(old);
      const first = await taken.claim('c_1');
      await release(first);
      const second = await taken.claim('c_1');
      expect(second.epoch).toBeGreaterThan(first.epoch);
      expect(resultsOf(await freed.append([item('a', { owner: ownerOf(old) })]))).toEqual(['not_owner']);
      const nobody = item('a', { owner: { connectionId: '', epoch: old.epoch } });
      expect(resultsOf(await freed.append([nobody]))).toEqual(['not_owner']);
      expect(resultsOf(await taken.append([item('a', { owner: ownerOf(first) })]))).toEqual(['not_owner']);
      expect(
        resultsOf(await never.append([item('a', { owner: { connectionId: 'c_1', epoch: first.epoch } })])),
      ).toEqual(['not_owner']);
      expect(await taken.batches()).toEqual([]);
    });

    test('the application’s message for one owner is refused under the next', async () => {
      const stream = await bench.stream();
      const lease = await stream.claim('c_1');
      const forFirst = item('a', { expectedOwnerEpoch: lease.epoch });
      expect(resultsOf(await stream.append([forFirst]))).toEqual(['accepted 1']);
      await release(lease);
      expect(resultsOf(await stream.append([forFirst]))).toEqual(['accepted 2']);
      await stream.claim('c_2');
      expect(resultsOf(await stream.append([forFirst]))).toEqual(['stale_epoch']);
      const never = await bench.stream();
      const outcome = await never.append([forFirst, item('a', { expectedOwnerEpoch: 0 })]);
      expect(resultsOf(outcome)).toEqual(['stale_epoch', 'accepted 1']);
    });

    test('an expected offset is the last one given, by the same request too', async () => {
      const stream = await bench.stream();
      const outcome = await stream.append([
        item('a', { expectedOffset: 0 }),
        item('no', { expectedOffset: 0 }),
        item('b', { expectedOffset: 1 }),
        item('passing', { expectedOffset: 2, ephemeral: true }),
        item('c', { expectedOffset: 2 }),
      ]);
      expect(resultsOf(outcome)).toEqual(['accepted 1', 'offset_conflict', 'accepted 2', 'accepted 2', 'accepted 3']);
      const [batch] = await stream.batches();
      expect(textsOf(batch?.messages ?? [])).toEqual(['1 a', '2 b', '2 passing', '3 c']);
    });

    test('of concurrent messages that expect the same offset one is accepted', async () => {
      const stream = await bench.stream();
      const outcomes = await Promise.all(
        Array.from({ length: 20 }, (_, i) =>
          (i % 2 === 0 ? harness.store : harness.other).append(
            stream.request([item(`${i}`, { expectedOffset: 0 })], { writerId: randomUUID() }),
          ),
        ),
      );
      expect(outcomes.flatMap(resultsOf).filter((result) => result === 'accepted 1')).toHaveLength(1);
      expect(await stream.entries()).toHaveLength(1);
    });

    test('when nothing is accepted, nothing is published or kept', async () => {
      const stream = await bench.stream();
      const { epoch } = await stream.write(['a']);
      const outcome = await stream.append([item('no', { expectedOffset: 0 }), item('no', { expectedOwnerEpoch: 1 })]);
      expect(outcome).toEqual({ epoch, top: 1, results: [{ result: 'offset_conflict' }, { result: 'stale_epoch' }] });
      expect(await stream.batches()).toHaveLength(1);
    });

    describe('with an idempotency hash', () => {
      const sent = (hash: string, fingerprint = 'f1') => ({ idempotency: { hash, fingerprint } });

      test('is the same message, whoever sends it again', async () => {
        const stream = await bench.stream();
        const same = item('a', sent(freshHash()));
        await stream.append([item('before'), same]);
        const again = stream.request([same, item('b')], { writerId: randomUUID() });
        expect(resultsOf(await harness.other.append(again))).toEqual(['duplicate 2', 'accepted 3']);
        const batches = await stream.batches();
        expect(batches.map(({ messages }) => textsOf(messages))).toEqual([['1 before', '2 a'], ['3 b']]);
      });

      test('is known within one request, and when ephemeral', async () => {
        const stream = await bench.stream();
        const [kept, passing] = [sent(freshHash()), sent(freshHash())];
        const outcome = await stream.append([
          item('a', kept),
          item('a', kept),
          item('p', { ...passing, ephemeral: true }),
          item('b'),
          item('p', { ...passing, ephemeral: true }),
        ]);
        expect(resultsOf(outcome)).toEqual(['accepted 1', 'duplicate 1', 'accepted 1', 'accepted 2', 'duplicate 1']);
      });

      test('is forgotten after its time', async () => {
        const stream = await bench.stream();
        const known = item('a', { idempotency: { hash: freshHash(), fingerprint: 'f1', keepMs: 60 } });
        const longer = item('b', { idempotency: { hash: freshHash(), fingerprint: 'f1', keepMs: 60_000 } });
        expect(resultsOf(await stream.append([known, longer]))).toEqual(['accepted 1', 'accepted 2']);
        expect(resultsOf(await stream.append([known, longer]))).toEqual(['duplicate 1', 'duplicate 2']);
        await harness.wait(100);
        expect(resultsOf(await stream.append([known, longer]))).toEqual(['accepted 3', 'duplicate 2']);
      });

      test('is refused with another fingerprint', async () => {
        const stream = await bench.stream();
        const hash = freshHash();
        const outcome = await stream.append([item('a', sent(hash)), item('b', sent(hash, 'f2'))]);
        expect(resultsOf(outcome)).toEqual(['accepted 1', 'idempotency_conflict']);
      });

      test('is answered before anything else is looked at', async () => {
        const stream = await bench.stream();
        const lease = await stream.claim('c_1');
        const conditions = { owner: ownerOf(lease), expectedOwnerEpoch: lease.epoch, expectedOffset: 0 };
        const same = item('a', { ...sent(freshHash()), ...conditions });
        await stream.append([same]);
        await release(lease);
        await stream.claim('c_2');
        expect(resultsOf(await stream.append([same]))).toEqual(['duplicate 1']);
      });

      test('is not taken for sent when it was refused', async () => {
        const stream = await bench.stream();
        const idempotent = sent(freshHash());
        const refused = await stream.append([item('a', { ...idempotent, expectedOffset: 5 })]);
        expect(resultsOf(refused)).toEqual(['offset_conflict']);
        expect(resultsOf(await stream.append([item('a', idempotent)]))).toEqual(['accepted 1']);
      });

      test('is another message in another session, and after the messages were removed', async () => {
        const [one, two] = [await bench.stream(), await bench.stream()];
        const same = item('a', sent(freshHash()));
        await one.append([item('before'), same]);
        expect(resultsOf(await two.append([same]))).toEqual(['accepted 1']);
        expect(resultsOf(await one.append([same]))).toEqual(['duplicate 2']);
        await harness.store.remove(one.id);
        expect(resultsOf(await one.append([same]))).toEqual(['accepted 1']);
        expect(resultsOf(await one.append([same]))).toEqual(['duplicate 1']);
      });
    });

    test('the conditions are looked at in their order', async () => {
      const stream = await bench.stream();
      const lease = await stream.claim('c_1');
      const hash = freshHash();
      await stream.append([item('a', { idempotency: { hash, fingerprint: 'f1' } })]);
      const all = {
        owner: { connectionId: 'c_2', epoch: lease.epoch },
        expectedOwnerEpoch: 1,
        expectedOffset: 9,
      };
      const { owner, ...withoutOwner } = all;
      const outcome = await stream.append(
        [
          item('b', { ...all, idempotency: { hash, fingerprint: 'f2' } }),
          item('b', { ...all, owner }),
          item('b', withoutOwner),
          item('b', { expectedOffset: 9 }),
          item('b'),
        ],
        { maxCount: 1, whenFull: 'refuse' },
      );
      expect(resultsOf(outcome)).toEqual([
        'idempotency_conflict',
        'not_owner',
        'stale_epoch',
        'offset_conflict',
        'history_full',
      ]);
    });
  });
}
