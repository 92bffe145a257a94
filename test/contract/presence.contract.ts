import { randomUUID } from 'node:crypto';
import { afterEach, describe, expect, test } from 'vitest';
import type { SessionBus } from '../../src/session/ports.js';
import type { PresenceEntry, PresenceEvent, PresenceStore } from '../../src/session/presence-ports.js';

/** What an implementation brings along to be held to the contract. */
export interface PresenceHarness {
  store: PresenceStore;
  /** Another node's store over the same data; where there is only one node, the same. */
  other: PresenceStore;
  bus: SessionBus;
  /** Lets the store's time pass. */
  wait(ms: number): Promise<void>;
  close(): Promise<void>;
}

export type MakePresenceHarness = (timings: { presenceTtlMs: number }) => Promise<PresenceHarness>;

const LONG_MS = 60_000;
/** Long enough to be renewed on a slow machine, short enough to be waited for. */
const TTL_MS = 600;
const GRACE_MS = 200;

async function sweepAll(store: PresenceStore, limit = 1_000): Promise<number> {
  let total = 0;
  for (let partition = 0; partition < store.partitions; partition += 1) {
    for (let more = true; more; ) {
      const outcome = await store.sweep(partition, limit);
      total += outcome.ended;
      more = outcome.more;
    }
  }
  return total;
}

/** Lets time pass as it does where nodes sweep. */
async function sweepFor({ store, wait }: PresenceHarness, ms: number): Promise<void> {
  for (let passed = 0; passed <= ms; passed += TTL_MS / 6) {
    await sweepAll(store);
    await wait(TTL_MS / 6);
  }
  await sweepAll(store);
}

/** One session of one test, with everything that was published about it. */
async function openSession({ bus }: PresenceHarness) {
  const id = `room:${randomUUID()}`;
  const events: PresenceEvent[] = [];
  let arrived: (() => void) | undefined;
  bus.onEvent((event) => {
    if (event.sessionId !== id) return;
    if (event.kind === 'presence') events.push(event);
    else arrived?.();
  });
  await bus.subscribe(id);
  return {
    id,
    entry: (connectionId: string, principal: string): PresenceEntry => ({ sessionId: id, connectionId, principal }),
    /** All up to now: events arrive in order, so they are here once this notice is. */
    events: async () => {
      await new Promise<void>((resolve, reject) => {
        arrived = resolve;
        bus.publish({ kind: 'subscription_removal', sessionId: id, target: {} }).catch(reject);
      });
      return [...events];
    },
  };
}

const said = (events: readonly PresenceEvent[]) =>
  events.map(({ event, principal, count }) => `${event} ${principal} ${count}`);

export function presenceContract(name: string, make: MakePresenceHarness): void {
  describe(`presence, ${name}`, () => {
    let harness: PresenceHarness;
    const start = async (presenceTtlMs = LONG_MS) => {
      harness = await make({ presenceTtlMs });
      return harness;
    };
    afterEach(() => harness.close());

    test('a principal joins with its first connection and leaves with its last', async () => {
      const { store, other } = await start();
      const room = await openSession(harness);
      const [first, second] = [room.entry('c_1', 'alice'), room.entry('c_2', 'alice')];
      const alone = await store.join(first);
      expect(alone).toMatchObject({ count: 1, members: [{ principal: 'alice', connections: 1 }] });
      expect(await other.join(second)).toMatchObject({ count: 1, members: [{ principal: 'alice', connections: 2 }] });
      const both = await store.join(room.entry('c_3', 'bob'));
      expect(both.count).toBe(2);
      expect(both.rev).toBeGreaterThan(alone.rev);
      await other.leave([first], 0);
      await other.leave([second], 0);
      expect(await store.read(room.id)).toMatchObject({ count: 1, members: [{ principal: 'bob', connections: 1 }] });
      const events = await room.events();
      expect(said(events)).toEqual(['joined alice 1', 'joined bob 2', 'left alice 1']);
      expect(events.map(({ rev }) => rev)).toEqual([...new Set(events.map(({ rev }) => rev))].sort((a, b) => a - b));
      expect(events[0]?.rev).toBe(alone.rev);
    });

    test('the same call again does nothing more', async () => {
      const { store } = await start();
      const room = await openSession(harness);
      const entry = room.entry('c_1', 'alice');
      const joined = await store.join(entry);
      expect(await store.join(entry)).toEqual(joined);
      await store.renew([entry]);
      await store.leave([entry], 0);
      await store.leave([entry], 0);
      await store.leave([room.entry('c_9', 'bob')], GRACE_MS);
      expect(await store.read(room.id)).toMatchObject({ count: 0, members: [] });
      expect(said(await room.events())).toEqual(['joined alice 1', 'left alice 0']);
    });

    test('one who comes back within the grace period was never away', async () => {
      const { store, other } = await start(TTL_MS);
      const room = await openSession(harness);
      await store.join(room.entry('c_1', 'alice'));
      await store.leave([room.entry('c_1', 'alice')], GRACE_MS);
      const back = room.entry('c_2', 'alice');
      await other.join(back);
      for (let round = 0; round < 3; round += 1) {
        await sweepFor(harness, GRACE_MS);
        await other.renew([back]);
      }
      expect(await store.read(room.id)).toMatchObject({ count: 1, members: [{ principal: 'alice', connections: 1 }] });
      expect(said(await room.events())).toEqual(['joined alice 1']);
    });

    test('one who does not has left when it is over, told once however many nodes sweep', async () => {
      const { store, other } = await start();
      const room = await openSession(harness);
      const entries = Array.from({ length: 20 }, (_, i) => room.entry(`c_${i}`, `p${i}`));
      await store.renew(entries);
      await store.leave(entries, GRACE_MS);
      await sweepAll(store);
      expect((await store.read(room.id)).count).toBe(20);
      await harness.wait(GRACE_MS + 20);
      const swept = await Promise.all([sweepAll(store), sweepAll(other), sweepAll(store), sweepAll(other)]);
      expect(swept.reduce((a, b) => a + b)).toBe(20);
      const left = (await room.events()).filter(({ event }) => event === 'left');
      expect(left.map(({ principal }) => principal).sort()).toEqual(entries.map(({ principal }) => principal).sort());
      expect(left.at(-1)?.count).toBe(0);
    });

    test('an entry that its node does not renew ends', async () => {
      const { store, other } = await start(TTL_MS);
      const room = await openSession(harness);
      await store.join(room.entry('c_1', 'alice'));
      const alive = room.entry('c_2', 'bob');
      await other.join(alive);
      for (let passed = 0; passed <= TTL_MS; passed += TTL_MS / 6) {
        await sweepFor(harness, 0);
        await other.renew([alive]);
      }
      await sweepAll(other);
      expect(await store.read(room.id)).toMatchObject({ count: 1, members: [{ principal: 'bob', connections: 1 }] });
      expect(said(await room.events())).toEqual(['joined alice 1', 'joined bob 2', 'left alice 1']);
    });

    test('after a silence nobody has left before there was time to renew', async () => {
      const { store, other } = await start(TTL_MS);
      const room = await openSession(harness);
      const alive = room.entry('c_1', 'alice');
      await store.renew([alive, room.entry('c_2', 'bob')]);
      await sweepAll(store);
      await harness.wait(TTL_MS + 20);
      expect(await sweepAll(other)).toBe(0);
      expect(await sweepAll(store)).toBe(0);
      await other.renew([alive]);
      await sweepFor(harness, TTL_MS / 2);
      expect(said(await room.events())).toEqual(['joined alice 1', 'joined bob 2', 'left bob 1']);
    });

    test('renewal enters what the store does not have, in many sessions', async () => {
      const { store } = await start();
      const rooms = [await openSession(harness), await openSession(harness), await openSession(harness)];
      const entries = rooms.flatMap(({ entry }) => [entry('c_1', 'alice'), entry('c_2', 'bob')]);
      await store.renew(entries);
      for (const { id } of rooms) {
        const { count, members } = await store.read(id);
        expect(count).toBe(2);
        expect(members.map(({ principal }) => principal).sort()).toEqual(['alice', 'bob']);
      }
      expect(await store.read('room:nobody')).toEqual({ rev: 0, count: 0, members: [] });
    });

    test('a rev is never given twice, also when everybody had gone', async () => {
      const { store } = await start();
      const room = await openSession(harness);
      for (let round = 0; round < 3; round += 1) {
        await store.join(room.entry('c_1', 'alice'));
        await store.leave([room.entry('c_1', 'alice')], 0);
        await harness.wait(2);
      }
      const revs = (await room.events()).map(({ rev }) => rev);
      expect(revs).toHaveLength(6);
      expect(revs).toEqual([...new Set(revs)].sort((a, b) => a - b));
    });

    test('names a thousand and counts all', async () => {
      const { store } = await start();
      const room = await openSession(harness);
      await store.renew(Array.from({ length: 1_500 }, (_, i) => room.entry(`c_${i}`, `p${i}`)));
      const { count, members } = await store.join(room.entry('c_1500', 'p0'));
      expect(count).toBe(1_500);
      expect(members).toHaveLength(1_000);
      expect(new Set(members.map(({ principal }) => principal)).size).toBe(1_000);
    });

    test('ends at most as many as asked and says when there are more', async () => {
      const { store } = await start();
      const room = await openSession(harness);
      const entries = Array.from({ length: 5 }, (_, i) => room.entry(`c_${i}`, 'alice'));
      await store.renew(entries);
      await store.leave(entries, 1);
      await harness.wait(20);
      const outcomes = [];
      for (let partition = 0; partition < store.partitions; partition += 1) {
        outcomes.push(await store.sweep(partition, 2));
      }
      expect(outcomes.filter(({ ended }) => ended > 0)).toEqual([{ ended: 2, more: true }]);
      expect(await sweepAll(store, 2)).toBe(3);
    });

    test('takes principals of any characters', async () => {
      const { store } = await start();
      const room = await openSession(harness);
      const principal = 'p:\tÄ "1" \n';
      await store.join(room.entry('c_1', principal));
      const { members } = await store.join(room.entry('c_2', 'count'));
      expect(members.map((member) => member.principal).sort()).toEqual(['count', principal].sort());
      expect((await room.events())[0]?.principal).toBe(principal);
    });
  });
}
