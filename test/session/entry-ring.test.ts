import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EntryRing, type StoredEntry } from '../../src/session/entry-ring.js';

function expectEqual(ring: EntryRing, model: readonly StoredEntry[]): void {
  expect(ring.length).toBe(model.length);
  for (let index = -2; index < model.length * 2 + 10; index++) expect(ring.at(index)).toEqual(model[index]);
}

const entryOf = (n: number): StoredEntry => ({ atMs: n, tail: `tail ${n}`, bytes: n % 7 });

/** Entries to push, or as a negative number to drop. */
const steps = fc.array(fc.integer({ min: -12, max: 12 }), { maxLength: 30 });

describe('a ring of entries', () => {
  it('is a queue', () =>
    fc.assert(
      fc.property(steps, (counts) => {
        const ring = new EntryRing();
        const model: StoredEntry[] = [];
        let pushed = 0;
        for (const count of counts) {
          for (let left = count; left > 0; left--) {
            const entry = entryOf(++pushed);
            ring.push(entry.atMs, entry.tail, entry.bytes);
            model.push(entry);
          }
          for (let left = count; left < 0; left++) expect(ring.dropOldest()).toBe(model.shift()?.bytes ?? 0);
          expectEqual(ring, model);
        }
      }),
      { numRuns: 500 },
    ));

  it.each([3, 4, 5, 1_000])('grows from any place in it on, with %d entries', (count) => {
    for (let dropped = 0; dropped < Math.min(count, 9); dropped++) {
      const ring = new EntryRing();
      const model = Array.from({ length: count + dropped + 9 }, (_, n) => entryOf(n));
      for (const [n, { atMs, tail, bytes }] of model.entries()) {
        ring.push(atMs, tail, bytes);
        if (n < dropped * 2 && n % 2 === 1) ring.dropOldest();
      }
      expectEqual(ring, model.slice(dropped));
    }
  });

  it('is empty again after the last was dropped', () => {
    const ring = new EntryRing();
    expectEqual(ring, []);
    expect(ring.dropOldest()).toBe(0);
    for (let round = 0; round < 3; round++) {
      for (let n = 0; n < 6; n++) ring.push(n, `${n}`, 1);
      for (let n = 0; n < 6; n++) expect(ring.dropOldest()).toBe(1);
      expect(ring.dropOldest()).toBe(0);
      expectEqual(ring, []);
    }
  });

  it('has nothing at what is no index', () => {
    const ring = new EntryRing();
    ring.push(1, 'a', 1);
    for (const index of [Number.NaN, Infinity, -Infinity, 2 ** 32, -(2 ** 32)]) expect(ring.at(index)).toBeUndefined();
  });
});
