import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ControlNotice } from '../../src/login/ports.js';
import { type LoginHarness, type MakeLoginHarness, SLACK_MS } from './login-harness.js';

const ended = (n: number): ControlNotice => ({ kind: 'login_ended', handle: `sha256:v1:${n}`, reason: 'revoked' });

/** What the small stores beside `LoginStore` promise. */
export function loginPartsContract(make: MakeLoginHarness): void {
  describe('one-time values', () => {
    let harness: LoginHarness;

    beforeAll(async () => {
      harness = await make();
    });

    afterAll(() => harness.close());

    test('exactly one of 100 that take a value at once gets it', async () => {
      const hash = randomUUID();
      await harness.oneTime.put('ticket', hash, '{"n":1}', SLACK_MS);
      const taken = await Promise.all(
        Array.from({ length: 100 }, (_, i) =>
          (i % 2 === 0 ? harness.oneTime : harness.otherOneTime).take('ticket', hash),
        ),
      );
      expect(taken.filter((value) => value !== undefined)).toEqual(['{"n":1}']);
    });

    test('a ticket is no code', async () => {
      const hash = randomUUID();
      await harness.oneTime.put('code', hash, 'value', SLACK_MS);
      expect(await harness.oneTime.take('ticket', hash)).toBeUndefined();
      expect(await harness.otherOneTime.take('code', hash)).toBe('value');
    });

    test('a value ends by itself, and one put again has its whole time', async () => {
      const [first, second] = [randomUUID(), randomUUID()];
      await harness.oneTime.put('ticket', first, 'old', 40);
      await harness.oneTime.put('ticket', second, 'old', 40);
      await harness.oneTime.put('ticket', second, 'new', SLACK_MS);
      await harness.wait(60);
      expect(await harness.oneTime.take('ticket', first)).toBeUndefined();
      expect(await harness.oneTime.take('ticket', second)).toBe('new');
    });
  });

  describe('marks', () => {
    let harness: LoginHarness;

    beforeAll(async () => {
      harness = await make();
    });

    afterAll(() => harness.close());

    test('the latest stays, and there is none to begin with', async () => {
      const principal = randomUUID();
      expect(await harness.marks.get(principal)).toBe(0);
      await harness.marks.set(principal, 1_800_000_000_123, SLACK_MS);
      await harness.marks.set(principal, 1_700_000_000_000, SLACK_MS);
      expect(await harness.marks.get(principal)).toBe(1_800_000_000_123);
      expect(await harness.marks.get(randomUUID())).toBe(0);
    });

    test('a mark is forgotten after its time, which a later one does not shorten', async () => {
      const [short, long] = [randomUUID(), randomUUID()];
      await harness.marks.set(short, 1, 40);
      await harness.marks.set(long, 1, SLACK_MS);
      await harness.marks.set(long, 2, 40);
      await harness.wait(60);
      expect(await harness.marks.get(short)).toBe(0);
      expect(await harness.marks.get(long)).toBe(2);
    });
  });

  describe('control log', () => {
    let harness: LoginHarness;

    beforeAll(async () => {
      harness = await make();
    });

    afterAll(() => harness.close());

    test('is read from its end on, also from when it was empty', async () => {
      const empty = await harness.control.end();
      expect(await harness.control.read(empty)).toEqual({ notices: [], position: empty });
      const disconnected: ControlNotice = {
        kind: 'principal_disconnected',
        principalHandle: 'sha256:v1:p',
        notBeforeMs: 1_800_000_000_123,
      };
      await harness.control.append(ended(1));
      await harness.control.append(disconnected);
      const first = await harness.control.read(empty);
      expect(first.notices).toEqual([ended(1), disconnected]);
      expect(first.position).toBe(await harness.control.end());
      expect(await harness.control.read(first.position)).toEqual({ notices: [], position: first.position });
      await harness.control.append(ended(2));
      expect((await harness.control.read(first.position)).notices).toEqual([ended(2)]);
    });

    test('keeps the newest 10,000 or some more, and gives them to a reader that fell behind', async () => {
      const start = await harness.control.end();
      for (let i = 0; i < 21_000; i += 1_000) {
        await Promise.all(Array.from({ length: 1_000 }, (_, j) => harness.control.append(ended(i + j))));
      }
      const { notices, position } = await harness.control.read(start);
      expect(notices.length).toBeGreaterThanOrEqual(10_000);
      expect(notices.length).toBeLessThan(20_000);
      expect(notices.at(-1)).toEqual(ended(20_999));
      expect(await harness.control.read(position)).toEqual({ notices: [], position });
    });
  });
}
