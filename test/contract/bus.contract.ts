import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { SessionBus, SessionEvent, TransferOffer } from '../../src/session/ports.js';

export interface BusHarness {
  bus: SessionBus;
  /** Another node's bus; where there is only one node, the same. */
  other: SessionBus;
  close(): Promise<void>;
}

/** What `SessionBus` promises, held against one implementation. */
export function busContract(name: string, make: () => Promise<BusHarness>): void {
  describe(`${name} bus`, () => {
    let harness: BusHarness;
    const received: SessionEvent[] = [];
    const of = (sessionId: string) => received.filter((event) => event.sessionId === sessionId);
    const offer = (sessionId: string, expectedEpoch = 1): TransferOffer => ({
      kind: 'transfer_offer',
      sessionId,
      requestId: randomUUID(),
      lockValue: 'lock',
      expectedEpoch,
      target: { principal: 'principal-1' },
    });

    beforeAll(async () => {
      harness = await make();
      harness.bus.onEvent((event) => received.push(event));
    });

    afterAll(() => harness.close());

    test('delivers what is published once the subscription stands, in order', async () => {
      const id = randomUUID();
      await harness.bus.subscribe(id);
      const offers = Array.from({ length: 100 }, (_, i) => offer(id, i));
      for (const each of offers) await harness.other.publish(each);
      await expect.poll(() => of(id).length).toBe(100);
      expect(of(id)).toEqual(offers);
    });

    test('delivers in a later turn, so that a publisher is never re-entered', async () => {
      const id = randomUUID();
      await harness.bus.subscribe(id);
      const published = harness.bus.publish(offer(id));
      expect(of(id)).toEqual([]);
      await published;
      await expect.poll(() => of(id).length).toBe(1);
    });

    test('delivers to a session’s subscribers alone, and each event once', async () => {
      const [mine, foreign] = [randomUUID(), randomUUID()];
      await harness.bus.subscribe(mine);
      await harness.bus.subscribe(mine);
      await harness.other.publish(offer(foreign));
      await harness.other.publish(offer(mine));
      await expect.poll(() => of(mine).length).toBeGreaterThan(0);
      expect(of(mine)).toHaveLength(1);
      expect(of(foreign)).toEqual([]);
    });

    test('delivers everything once to who unsubscribed and came back', async () => {
      const id = randomUUID();
      await harness.bus.subscribe(id);
      await harness.bus.unsubscribe(id);
      await harness.bus.subscribe(id);
      await harness.other.publish(offer(id, 1));
      await harness.other.publish(offer(id, 2));
      await expect.poll(() => of(id).length).toBe(2);
      expect(of(id)).toMatchObject([{ expectedEpoch: 1 }, { expectedEpoch: 2 }]);
    });

    test('unsubscribing from what is not subscribed does nothing', async () => {
      await harness.bus.unsubscribe(randomUUID());
      expect(harness.bus.healthy()).toBe(true);
    });

    test('ends at close', async () => {
      const { bus, close } = await make();
      await expect.poll(() => bus.healthy()).toBe(true);
      await bus.close();
      expect(bus.healthy()).toBe(false);
      await close();
    });
  });
}
