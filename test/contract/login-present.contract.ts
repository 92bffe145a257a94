import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  IDLE_MS,
  type LoginHarness,
  type MakeLoginHarness,
  presented,
  REUSE_MS,
  SLACK_MS,
  startLogin,
} from './login-harness.js';

/** What `LoginStore` promises of presented refresh tokens. Tokens are numbered by generation. */
export function loginPresentContract(make: MakeLoginHarness): void {
  describe('present', () => {
    let harness: LoginHarness;

    beforeAll(async () => {
      harness = await make();
    });

    afterAll(() => harness.close());

    /** A login with token 2 current, which was never used, and token 1 before it. */
    async function rotatedLogin() {
      const login = await startLogin(harness);
      await login.age(REUSE_MS);
      expect(await login.present(1)).toBe('rotated');
      return login;
    }

    test('knows no login that is not there, and no other token of the same generation', async () => {
      const { request, login, handle, read } = await startLogin(harness);
      expect(await harness.store.present('sha256:v1:none', presented(request, 1))).toEqual({ result: 'unknown' });
      const forged = { ...presented(request, 1), tokenHash: 'another' };
      expect(await harness.store.present(handle, forged)).toEqual({ result: 'unknown' });
      expect(await read()).toEqual(login);
    });

    test('leaves a token that is younger than the reuse interval', async () => {
      const { present, age, read } = await startLogin(harness);
      expect(await present(1)).toBe('current');
      await age(REUSE_MS - SLACK_MS);
      expect(await present(1)).toBe('current');
      expect((await read()).generation).toBe(1);
      await age(SLACK_MS);
      expect(await present(1)).toBe('rotated');
      expect((await read()).generation).toBe(2);
      expect(await present(2)).toBe('current');
    });

    test('does not rotate when it only checks', async () => {
      const { present, age, read } = await startLogin(harness);
      await age(REUSE_MS);
      expect(await present(1, false)).toBe('current');
      expect((await read()).generation).toBe(1);
    });

    test('moves last use and idle end along, not beyond the absolute end', async () => {
      const { present, age, read, login } = await startLogin(harness);
      await age(IDLE_MS / 2);
      expect(await present(1)).toBe('rotated');
      const { lastSeenAtMs, expiresAtMs, createdAtMs } = await read();
      expect(lastSeenAtMs - createdAtMs).toBeGreaterThanOrEqual(IDLE_MS / 2);
      expect(expiresAtMs - lastSeenAtMs).toBe(IDLE_MS);
      expect(login.expiresAtMs - login.createdAtMs).toBe(IDLE_MS);
      for (let generation = 2; generation <= 19; generation += 1) {
        await age(IDLE_MS / 2);
        expect(await present(generation)).toBe('rotated');
      }
      const late = await read();
      expect(late.expiresAtMs).toBe(late.maxExpiresAtMs);
      await age(IDLE_MS / 2);
      expect(await present(20)).toBe('ended');
      expect(await read()).toMatchObject({ state: 'expired', endReason: 'max_age' });
    });

    test('takes tokens that follow each other at once for one activity', async () => {
      const { handle, present } = await startLogin(harness);
      for (let i = 0; i < 5; i += 1) await present(1);
      expect((await harness.store.events(handle)).map(({ kind }) => kind)).toEqual(['created']);
    });

    test('honours the predecessor of a token that was never used, however late', async () => {
      const { present, age } = await rotatedLogin();
      expect(await present(1)).toBe('replayed');
      await age(IDLE_MS - SLACK_MS);
      expect(await present(1)).toBe('replayed');
      expect(await present(1, false)).toBe('replayed');
      expect(await present(2)).toBe('rotated');
    });

    test('honours the predecessor for the reuse interval after the first use of its successor', async () => {
      const { present, age } = await rotatedLogin();
      await age(REUSE_MS / 2);
      expect(await present(2, false)).toBe('current');
      await age(REUSE_MS - SLACK_MS);
      expect(await present(1)).toBe('replayed');
      // Later uses start nothing anew.
      expect(await present(2, false)).toBe('current');
      await age(SLACK_MS);
      expect(await present(1)).toBe('reused');
    });

    test('honours the one before the predecessor for the rest of its time', async () => {
      const { present, age, read } = await rotatedLogin();
      expect(await present(2)).toBe('current');
      await age(REUSE_MS / 2);
      expect(await present(1)).toBe('replayed');
      await age(REUSE_MS / 2);
      // Its first use is a reuse interval ago, and the next rotation finds its predecessor's time over.
      expect(await present(2)).toBe('rotated');
      expect(await present(1)).toBe('reused');
      expect(await read()).toMatchObject({ state: 'revoked', endReason: 'token_reuse' });
    });

    test('honours the one before the predecessor when its successor went on at once', async () => {
      const { present, age } = await rotatedLogin();
      await age(2 * REUSE_MS);
      expect(await present(2)).toBe('rotated');
      expect(await present(1)).toBe('replayed');
      expect(await present(2)).toBe('replayed');
      await age(REUSE_MS - SLACK_MS);
      expect(await present(1)).toBe('replayed');
      await age(SLACK_MS);
      expect(await present(2)).toBe('replayed');
      expect(await present(1)).toBe('reused');
    });

    test('revokes the login when a token comes back that is over', async () => {
      const { present, age, read, handle, request } = await rotatedLogin();
      expect(await present(2)).toBe('current');
      await age(REUSE_MS);
      const { result, login } = await harness.store.present(handle, presented(request, 1, false));
      expect(result).toBe('reused');
      expect(login).toMatchObject({ state: 'revoked', endReason: 'token_reuse' });
      expect(login).toEqual(await read());
      expect(await present(2)).toBe('ended');
      expect(await present(1)).toBe('ended');
      expect((await harness.store.events(handle)).at(-1)).toMatchObject({
        kind: 'ended',
        fields: { state: 'revoked', end_reason: 'token_reuse', ended_at: String(login?.endedAtMs) },
      });
    });

    test('only tells that a token is over when the family is to be spared', async () => {
      const { present, age, read, handle, request } = await rotatedLogin();
      expect(await present(2)).toBe('current');
      await age(REUSE_MS);
      const before = await read();
      const events = await harness.store.events(handle);
      const { result, login } = await harness.store.present(handle, { ...presented(request, 1), spare: true });
      expect(result).toBe('reused');
      expect([login, await read()]).toEqual([before, before]);
      expect(await harness.store.events(handle)).toEqual(events);
      expect(await present(1)).toBe('reused');
      expect(await read()).toMatchObject({ state: 'revoked' });
    });

    test('goes on with a genuine token that is ahead of what the store remembers', async () => {
      const { present, read, age } = await startLogin(harness);
      expect(await present(5, false)).toBe('current');
      expect((await read()).generation).toBe(5);
      expect(await present(1)).toBe('replayed');
      expect(await present(5)).toBe('rotated');
      expect((await read()).generation).toBe(6);
      expect(await present(1)).toBe('replayed');
      expect(await present(5)).toBe('replayed');
      await age(REUSE_MS);
      expect(await present(4)).toBe('reused');
    });

    test('rotates a token that is ahead at once', async () => {
      const { present, read } = await startLogin(harness);
      expect(await present(3)).toBe('rotated');
      expect((await read()).generation).toBe(4);
      expect(await present(3)).toBe('replayed');
      expect(await present(4)).toBe('current');
    });

    test('refuses tokens of a login that lapsed or was ended', async () => {
      const idle = await startLogin(harness);
      await idle.age(IDLE_MS);
      expect(await idle.present(1)).toBe('ended');
      expect(await idle.read()).toMatchObject({ state: 'expired', endReason: 'idle' });
      const out = await startLogin(harness);
      await harness.store.end(out.handle, 'logout');
      expect(await out.present(1)).toBe('ended');
      expect(await out.present(7)).toBe('ended');
    });

    test('does not move an end that the application set', async () => {
      const before = await startLogin(harness);
      const expiresAtMs = before.login.createdAtMs + 2 * REUSE_MS;
      const { present, age, read } = await startLogin(harness, { expiresAtMs });
      await age(REUSE_MS + SLACK_MS);
      expect(await present(1)).toBe('rotated');
      const { lastSeenAtMs, expiresAtMs: end } = await read();
      expect(end - lastSeenAtMs).toBeLessThan(REUSE_MS);
      await age(REUSE_MS);
      expect(await present(2)).toBe('ended');
      const ended = await read();
      expect(ended).toMatchObject({ state: 'expired', endReason: 'expired' });
      expect(ended.endedAtMs).toBe(ended.expiresAtMs);
    });

    test('rotates once for 400 presentations at once, on two nodes, and every one gets the successor', async () => {
      const { age, handle, read, present } = await startLogin(harness);
      await age(REUSE_MS);
      const results = await Promise.all(
        Array.from({ length: 400 }, (_, i) => present(1, true, i % 2 === 0 ? harness.store : harness.other)),
      );
      expect(results.filter((result) => result === 'rotated')).toHaveLength(1);
      expect(results.filter((result) => result === 'replayed')).toHaveLength(399);
      expect((await read()).generation).toBe(2);
      const refreshed = (await harness.store.events(handle)).filter(({ kind }) => kind === 'refreshed');
      expect(refreshed).toHaveLength(1);
    });
  });
}
