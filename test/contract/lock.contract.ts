import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { SessionLock } from '../../src/session/ports.js';

export interface LockHarness {
  lock: SessionLock;
  /** Another node's lock over the same data; where there is only one node, the same. */
  other: SessionLock;
  /** How long the lock stands if nobody extends it; short, since a test waits for it. */
  ttlMs: number;
  close(): Promise<void>;
}

/** What `SessionLock` promises, held against one implementation. */
export function lockContract(name: string, make: () => Promise<LockHarness>): void {
  describe(`${name} lock`, () => {
    let harness: LockHarness;

    beforeAll(async () => {
      harness = await make();
    });

    afterAll(() => harness.close());

    test('works on one session exclude each other, and all get their turn', async () => {
      const id = randomUUID();
      let [inside, most, done] = [0, 0, 0];
      const work = async () => {
        inside += 1;
        most = Math.max(most, inside);
        await sleep(5);
        inside -= 1;
        done += 1;
      };
      const lockOf = (i: number) => (i % 2 === 0 ? harness.lock : harness.other);
      await Promise.all(Array.from({ length: 6 }, (_, i) => lockOf(i).withLock(id, 10_000, work)));
      expect([most, done]).toEqual([1, 6]);
    });

    test('works on different sessions do not wait for each other', async () => {
      await harness.lock.withLock(randomUUID(), 1_000, async () => {
        expect(await harness.lock.withLock(randomUUID(), 0, async () => 'in')).toBe('in');
      });
    });

    test('gives each work a value of its own, and returns its result', async () => {
      const id = randomUUID();
      const first = await harness.lock.withLock(id, 1_000, async (value) => value);
      const second = await harness.lock.withLock(id, 1_000, async (value) => value);
      expect(first).not.toBe('');
      expect(second).not.toBe(first);
    });

    test('stands for as long as the work runs', async () => {
      const id = randomUUID();
      await harness.lock.withLock(id, 1_000, async () => {
        await sleep(harness.ttlMs + 500);
        await expect(harness.other.withLock(id, 0, async () => 'in')).rejects.toMatchObject({ code: 'session_busy' });
      });
    });

    test('gives up after the wait, neither before nor much later', async () => {
      const id = randomUUID();
      await harness.lock.withLock(id, 1_000, async () => {
        const startMs = performance.now();
        const waiting = harness.other.withLock(id, 300, async () => 'in');
        await expect(waiting).rejects.toMatchObject({ code: 'session_busy', retryable: true });
        const tookMs = performance.now() - startMs;
        expect(tookMs).toBeGreaterThan(150);
        expect(tookMs).toBeLessThan(1_500);
      });
      expect(await harness.lock.withLock(id, 1_000, async () => 'in')).toBe('in');
    });

    test('is released after an error, which goes to the caller', async () => {
      const id = randomUUID();
      const failing = harness.lock.withLock(id, 1_000, async () => {
        throw new Error('work failed');
      });
      await expect(failing).rejects.toThrow('work failed');
      expect(await harness.other.withLock(id, 0, async () => 'in')).toBe('in');
    });
  });
}
