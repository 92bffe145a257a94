import { randomUUID } from 'node:crypto';
import { afterEach, describe, expect, test } from 'vitest';
import type { OutboxEvent } from '../../src/backend/ports.js';
import { LONG_MS, requestsFor, LEASE_MS as SHORT_LEASE_MS, sweepAll } from './harness.js';
import { presented } from './login-harness.js';
import {
  LEASE_MS,
  type MakeOutboxHarness,
  newLogin,
  type OutboxHarness,
  partitionOf,
  waiting,
  waitingFor,
} from './outbox-harness.js';

const IDLE_MS = 300;

export function outboxContract(name: string, make: MakeOutboxHarness): void {
  describe(`the outbox in ${name}`, () => {
    let open: OutboxHarness | undefined;
    const harness = async (settings?: { sessionIdleMs?: number }) => {
      open = await make(settings);
      await sweepAll(open.store);
      return open;
    };
    afterEach(async () => {
      await open?.close();
      open = undefined;
    });

    const short = ({ type, fields }: OutboxEvent) => [type, fields['reason']].join(' ').trim();

    describe('is told by the step itself', () => {
      test('of each change of ownership, in order and with its fields', async () => {
        const { store, outbox } = await harness();
        const session = requestsFor(`chat:${randomUUID()}`);
        const tokenHash = 'first';
        const claimed = await store.claim(session.claim('c_1', { tokenHash }));
        await store.renew([session.lease(claimed)], LONG_MS);
        await store.hold([session.lease(claimed)], LONG_MS);
        const back = await store.reclaim(session.reclaim('c_2', tokenHash));
        await store.transfer(session.transfer(back.view.epoch, 'c_3'));
        await store.release(session.release(session.lease(await viewed(store, session.id))));
        const events = await waitingFor(outbox, session.id);
        expect(events.map(short)).toEqual([
          'session.owned claimed',
          'session.held disconnected',
          'session.reclaimed reclaimed',
          'session.owned transferred',
          'session.released released',
        ]);
        const common = { session_id: session.id, namespace: 'chat' };
        expect(events[0]).toEqual({
          id: expect.stringMatching(/^\d+-\d+-\d+$/),
          type: 'session.owned',
          subject: session.id,
          atMs: expect.any(Number),
          attempts: 0,
          fields: {
            ...common,
            owner_epoch: claimed.view.epoch,
            rev: 1,
            reason: 'claimed',
            connection_id: 'c_1',
            principal: 'principal-1',
            node: 'node-1',
            until: claimed.view.deadlineMs,
          },
        });
        expect(events[1]?.fields).toMatchObject({ owner_epoch: claimed.view.epoch, rev: 2, connection_id: 'c_1' });
        expect(events[4]?.fields).toEqual({
          ...common,
          owner_epoch: expect.any(Number),
          rev: 5,
          reason: 'released',
          connection_id: 'c_3',
        });
      });

      test('of nothing when nothing changed: refused, repeated, renewed', async () => {
        const { store, outbox } = await harness();
        const session = requestsFor(`test:${randomUUID()}`);
        const request = session.claim('c_1');
        const claimed = await store.claim(request);
        await store.claim(request);
        await store.claim(session.claim('c_2'));
        await store.reclaim(session.reclaim('c_2', 'wrong'));
        await store.renew([session.lease(claimed)], LONG_MS);
        await store.hold([{ ...session.lease(claimed), connectionId: 'c_2' }], LONG_MS);
        await store.read(session.id);
        expect((await waitingFor(outbox, session.id)).map(short)).toEqual(['session.owned claimed']);
      });

      test('of a lapse, by the sweep or by who comes before it', async () => {
        const { store, outbox, wait } = await harness();
        const [swept, found] = [requestsFor(`test:${randomUUID()}`), requestsFor(`test:${randomUUID()}`)];
        for (const session of [swept, found]) await store.claim(session.claim('c_1', { leaseMs: SHORT_LEASE_MS }));
        await wait(SHORT_LEASE_MS + 20);
        await store.claim(found.claim('c_2'));
        await sweepAll(store);
        const lapsed = ['session.owned claimed', 'session.released expired'];
        expect((await waitingFor(outbox, swept.id)).map(short)).toEqual(lapsed);
        expect((await waitingFor(outbox, found.id)).map(short)).toEqual([...lapsed, 'session.owned claimed']);
      });

      test('of a login that ends by revocation, and of no other', async () => {
        const { logins, outbox } = await harness();
        const [revoked, reused, loggedOut, lapsed] = [
          await newLogin(logins),
          await newLogin(logins),
          await newLogin(logins),
          await newLogin(logins),
        ];
        await logins.end(revoked.handle, 'revoked');
        await logins.end(revoked.handle, 'revoked');
        await logins.end(loggedOut.handle, 'logout');
        await logins.end(lapsed.handle, 'idle');
        await reused.present(1);
        await reused.present(2);
        await reused.present(3);
        expect((await logins.present(reused.handle, presented(reused.request, 1))).result).toBe('reused');
        const events = await waiting(outbox);
        expect(events.map(short).sort()).toEqual([
          'login.revoked logout',
          'login.revoked revoked',
          'login.revoked token_reuse',
        ]);
        expect(events.find(({ subject }) => subject === revoked.handle)?.fields).toEqual({
          login: revoked.handle,
          principal: 'alice',
          reason: 'revoked',
        });
      });
    });

    describe('tells of an idle session', () => {
      const idle = async ({ outbox, store }: OutboxHarness, subject: string) => {
        await sweepAll(store);
        const events = await waitingFor(outbox, subject);
        return events.filter(({ type }) => type === 'session.idle');
      };

      test('once, when it has been free and silent for the time', async () => {
        const made = await harness({ sessionIdleMs: IDLE_MS });
        const { store, wait } = made;
        const session = requestsFor(`test:${randomUUID()}`);
        const claimed = await store.claim(session.claim('c_1'));
        await wait(IDLE_MS + 20);
        expect(await idle(made, session.id)).toEqual([]);
        await store.release(session.release(session.lease(claimed)));
        expect(await idle(made, session.id)).toEqual([]);
        await wait(IDLE_MS + 20);
        const [event] = await idle(made, session.id);
        expect(event?.fields).toEqual({ session_id: session.id, namespace: 'test' });
        await wait(IDLE_MS + 20);
        expect(await idle(made, session.id)).toHaveLength(1);
      });

      test('not while it is taken again', async () => {
        const made = await harness({ sessionIdleMs: IDLE_MS });
        const { store, wait } = made;
        const session = requestsFor(`test:${randomUUID()}`);
        await store.release(session.release(session.lease(await store.claim(session.claim('c_1')))));
        await store.claim(session.claim('c_2'));
        await wait(IDLE_MS + 20);
        expect(await idle(made, session.id)).toEqual([]);
      });

      test('later when something is published; also one that nobody ever owned', async () => {
        const made = await harness({ sessionIdleMs: IDLE_MS });
        const id = `test:${randomUUID()}`;
        await made.publish(id);
        await made.wait(IDLE_MS - 100);
        await made.publish(id);
        await made.wait(IDLE_MS - 100);
        expect(await idle(made, id)).toEqual([]);
        await made.wait(120);
        expect(await idle(made, id)).toHaveLength(1);
      });

      test('never where the time is 0', async () => {
        const made = await harness();
        const session = requestsFor(`test:${randomUUID()}`);
        await made.store.release(session.release(session.lease(await made.store.claim(session.claim('c_1')))));
        await made.publish(session.id);
        await made.wait(IDLE_MS);
        expect(await idle(made, session.id)).toEqual([]);
      });
    });

    describe('is delivered', () => {
      /** Events of one subject, and their partition with a lease for `first`. */
      const filled = async (events: number) => {
        const made = await harness();
        const subject = `test:${randomUUID()}`;
        const add = (n: number) => made.outbox.add({ type: 'session.signal', subject, fields: { n } });
        for (let n = 1; n <= events; n += 1) await add(n);
        const [event] = await waitingFor(made.outbox, subject);
        if (event === undefined) throw new Error('nothing waits');
        const partition = partitionOf(event);
        expect(await made.outbox.acquire(partition, 'first', LEASE_MS)).toBe(true);
        return { ...made, add, partition };
      };
      const numbers = (events: readonly OutboxEvent[]) => events.map(({ fields }) => fields['n']);

      test('unless half of the room is taken, which what changes nothing must not fill', async () => {
        const { outbox, add } = await filled(1);
        const adding = Array.from({ length: 4_999 }, (_, n) => add(n));
        await Promise.all(adding);
        await expect(add(0)).rejects.toMatchObject({ code: 'rate_limited' });
        expect((await outbox.backlog()).waiting).toBeGreaterThanOrEqual(5_000);
      });

      test('by one at a time, until it gives up or its lease ends', async () => {
        const { outbox, other, partition, wait } = await filled(1);
        expect(await other.acquire(partition, 'second', LEASE_MS)).toBe(false);
        expect(await other.read(partition, 'second', 10, false)).toEqual([]);
        await other.release(partition, 'second');
        expect(await outbox.acquire(partition, 'first', 100)).toBe(true);
        await wait(120);
        expect(await outbox.read(partition, 'first', 10, false)).toEqual([]);
        expect(await other.acquire(partition, 'second', LEASE_MS)).toBe(true);
        await other.release(partition, 'second');
        expect(await outbox.acquire(partition, 'first', LEASE_MS)).toBe(true);
      });

      test('in order, new ones only once, all that is unfinished to who takes over', async () => {
        const { outbox, other, partition, add } = await filled(3);
        expect(numbers(await outbox.read(partition, 'first', 2, false))).toEqual([1, 2]);
        expect(numbers(await outbox.read(partition, 'first', 10, false))).toEqual([1, 2, 3]);
        await add(4);
        expect(numbers(await outbox.read(partition, 'first', 10, true))).toEqual([4]);
        expect(await outbox.read(partition, 'first', 10, true)).toEqual([]);
        const [, second] = await outbox.read(partition, 'first', 10, false);
        await outbox.done(partition, [second?.id ?? '']);
        await outbox.release(partition, 'first');
        await other.acquire(partition, 'second', LEASE_MS);
        expect(numbers(await other.read(partition, 'second', 10, false))).toEqual([1, 3, 4]);
        expect(await outbox.backlog()).toEqual({ waiting: 3, fullest: 3, dead: 0 });
      });

      test('with the number of failures, over all nodes, and then given up', async () => {
        const { outbox, other, partition } = await filled(2);
        const [first] = await outbox.read(partition, 'first', 10, false);
        if (first === undefined) throw new Error('nothing read');
        expect(first.attempts).toBe(0);
        expect(await outbox.failed(partition, first.id)).toBe(1);
        expect(await outbox.failed(partition, first.id)).toBe(2);
        await outbox.release(partition, 'first');
        await other.acquire(partition, 'second', LEASE_MS);
        const [again] = await other.read(partition, 'second', 10, false);
        expect(again).toEqual({ ...first, attempts: 2 });
        expect(await other.failed(partition, first.id)).toBe(3);
        await other.bury(partition, { ...first, attempts: 3 }, 'status 500');
        await other.bury(partition, { ...first, attempts: 3 }, 'status 500');
        expect(await other.backlog()).toEqual({ waiting: 1, fullest: 1, dead: 1 });
        expect(numbers(await other.read(partition, 'second', 10, false))).toEqual([2]);
        expect(await other.failed(partition, first.id)).toBe(0);
      });
    });
  });
}

async function viewed(store: OutboxHarness['store'], sessionId: string) {
  const [view] = await store.peek([sessionId]);
  if (view === undefined) throw new Error('the store is away');
  return { view } as Parameters<ReturnType<typeof requestsFor>['lease']>[0];
}
