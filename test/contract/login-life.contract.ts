import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { LoginEndReason, LoginRecord } from '../../src/login/ports.js';
import { type ProjectedLogin, project } from '../../src/login/projection.js';
import {
  IDLE_MS,
  type LoginHarness,
  MAX_MS,
  type MakeLoginHarness,
  RETENTION_MS,
  SLACK_MS,
  startLogin,
} from './login-harness.js';

function told(login: LoginRecord): ProjectedLogin {
  const { loginId: _, ...record } = login;
  return record;
}

/** What `LoginStore` promises of the life and the end of logins, and of what it tells about them. */
export function loginLifeContract(make: MakeLoginHarness): void {
  describe('life', () => {
    let harness: LoginHarness;

    beforeAll(async () => {
      harness = await make();
    });

    afterAll(() => harness.close());

    test('activity slides the idle end, up to the absolute one', async () => {
      const { handle, age, read } = await startLogin(harness);
      for (let i = 0; i < 11; i += 1) {
        await age(IDLE_MS - IDLE_MS / 10);
        const { changed, login } = await harness.other.touch(handle, { active: true });
        expect(changed).toBe(true);
        expect(login?.expiresAtMs).toBe(Math.min((login?.lastSeenAtMs ?? 0) + IDLE_MS, login?.maxExpiresAtMs ?? 0));
      }
      const { expiresAtMs, maxExpiresAtMs } = await read();
      expect(expiresAtMs).toBe(maxExpiresAtMs);
      await age(IDLE_MS / 10);
      expect(await harness.store.touch(handle, { active: true })).toMatchObject({
        changed: false,
        login: { state: 'expired', endReason: 'max_age' },
      });
    });

    test('a sign of life alone slides nothing', async () => {
      const { handle, login, age, read } = await startLogin(harness);
      await age(IDLE_MS / 2);
      expect((await harness.store.touch(handle, { active: false })).changed).toBe(true);
      const { lastSeenAtMs, expiresAtMs, createdAtMs } = await read();
      expect(lastSeenAtMs - createdAtMs).toBeGreaterThanOrEqual(IDLE_MS / 2);
      expect(expiresAtMs - createdAtMs).toBe(login.expiresAtMs - login.createdAtMs);
    });

    test('a flood of activity leaves next to nothing in the audit stream', async () => {
      const { handle, present, age, read } = await startLogin(harness);
      for (let i = 0; i < 20; i += 1) {
        const { changed, login } = await harness.store.touch(handle, { active: i % 2 === 0 });
        expect([changed, login?.state]).toEqual([true, 'active']);
        await present(1, false);
      }
      expect((await harness.store.events(handle)).map(({ kind }) => kind)).toEqual(['created']);
      // Signs of life in between hold up no activity.
      const { expiresAtMs, createdAtMs } = await read();
      await age(IDLE_MS / 10);
      await harness.store.touch(handle, { active: false });
      await harness.store.touch(handle, { active: true });
      const slid = await read();
      expect(slid.expiresAtMs - slid.createdAtMs).toBeGreaterThanOrEqual(expiresAtMs - createdAtMs + IDLE_MS / 10);
    });

    test('the application replaces attributes and rights, each by itself', async () => {
      const { handle, login } = await startLogin(harness);
      const attributes = '{"n":1}';
      const first = await harness.store.touch(handle, { active: false, attributes });
      expect(first.login).toMatchObject({ attributes, rights: login.rights });
      const second = await harness.store.touch(handle, { active: false, rights: '[]' });
      expect(second.login).toMatchObject({ attributes, rights: '[]', expiresAtMs: login.expiresAtMs });
    });

    test('the application moves the end, which then stays', async () => {
      const { handle, login, age } = await startLogin(harness);
      const later = login.createdAtMs + 3 * IDLE_MS;
      expect((await harness.store.touch(handle, { active: false, expiresAtMs: later })).login?.expiresAtMs).toBe(later);
      expect((await harness.store.touch(handle, { active: true })).login?.expiresAtMs).toBe(later);
      const far = await harness.store.touch(handle, { active: false, expiresAtMs: login.createdAtMs + 2 * MAX_MS });
      expect(far.login?.expiresAtMs).toBe(login.maxExpiresAtMs);
      const soon = login.createdAtMs + 2 * SLACK_MS;
      await harness.store.touch(handle, { active: false, expiresAtMs: soon });
      await age(2 * SLACK_MS);
      expect(await harness.store.read(handle)).toMatchObject({ state: 'expired', endReason: 'expired' });
    });

    test('an end that is past changes nothing', async () => {
      const { handle, login, read } = await startLogin(harness);
      const change = { active: true, expiresAtMs: login.createdAtMs, attributes: '{"n":2}' };
      expect(await harness.store.touch(handle, change)).toEqual({ changed: false, login });
      expect(await read()).toEqual(login);
    });

    test('no touch revives a login that has ended', async () => {
      const { handle, age, read } = await startLogin(harness);
      await age(IDLE_MS);
      const ended = await read();
      expect(ended).toMatchObject({ state: 'expired', endReason: 'idle', endedAtMs: ended.expiresAtMs });
      const change = { active: true, expiresAtMs: ended.expiresAtMs + MAX_MS };
      expect(await harness.store.touch(handle, change)).toEqual({ changed: false, login: ended });
      expect(await read()).toEqual(ended);
      expect(await harness.store.touch('sha256:v1:none', change)).toEqual({ changed: false });
    });

    test.each<[LoginEndReason, LoginRecord['state']]>([
      ['logout', 'revoked'],
      ['revoked', 'revoked'],
      ['token_reuse', 'revoked'],
      ['expired', 'expired'],
    ])('ending by %s leaves it %s, once', async (reason, state) => {
      const { handle, read } = await startLogin(harness);
      const first = await harness.store.end(handle, reason);
      expect(first).toMatchObject({ ended: true, login: { state, endReason: reason } });
      expect(first.login?.endedAtMs).toBeGreaterThan(0);
      expect(await harness.other.end(handle, 'revoked')).toEqual({ ended: false, login: first.login });
      expect(await read()).toEqual(first.login);
      expect((await harness.store.events(handle)).map(({ kind }) => kind)).toEqual(['created', 'ended']);
    });

    test('of concurrent ends one ends it', async () => {
      const { handle } = await startLogin(harness);
      const ends = await Promise.all(
        Array.from({ length: 20 }, (_, i) => (i % 2 === 0 ? harness.store : harness.other).end(handle, 'revoked')),
      );
      expect(ends.filter(({ ended }) => ended)).toHaveLength(1);
    });

    test('ending what lapsed before leaves it lapsed, and nothing ends what is not there', async () => {
      const { handle, age } = await startLogin(harness);
      await age(IDLE_MS);
      expect(await harness.store.end(handle, 'revoked')).toMatchObject({ ended: false, login: { endReason: 'idle' } });
      expect(await harness.store.end('sha256:v1:none', 'revoked')).toEqual({ ended: false });
    });

    test('an ended record answers for its retention, and then is gone', async () => {
      const { handle, age } = await startLogin(harness);
      await harness.store.end(handle, 'logout');
      await age(RETENTION_MS - SLACK_MS);
      expect(await harness.store.read(handle)).toMatchObject({ state: 'revoked' });
      await age(SLACK_MS);
      await harness.wait(1);
      expect(await harness.store.read(handle)).toBeUndefined();
    });

    test('the newest 1,000 owned sessions are kept, each pair of connection and session once', async () => {
      const { handle } = await startLogin(harness);
      const of = (epoch: number, n = epoch) => ({ sessionId: `chat:\t${n}`, connectionId: `c_${n}`, epoch });
      const first = 1_800_000_000_000_000;
      const noted = Array.from({ length: 1_005 }, (_, i) => of(first + i));
      await Promise.all(
        noted.map((session, i) => (i % 2 === 0 ? harness.store : harness.other).noteOwned(handle, session)),
      );
      expect(await harness.store.owned(handle)).toEqual(noted.slice(5));
      await harness.store.noteOwned(handle, of(first + 2_000, first + 7));
      await harness.store.noteOwned(handle, of(first + 1, first + 7));
      const owned = await harness.other.owned(handle);
      expect(owned).toHaveLength(1_000);
      expect(owned.at(-1)).toEqual(of(first + 2_000, first + 7));
    });

    test('nothing is noted of a login that is not there', async () => {
      await harness.store.noteOwned('sha256:v1:none', { sessionId: 's', connectionId: 'c', epoch: 1 });
      expect(await harness.store.owned('sha256:v1:none')).toEqual([]);
    });
  });

  describe('audit stream', () => {
    test('its projection is what is stored', async () => {
      const harness = await make({ reuseIntervalMs: 20 });
      const quick = { idleMs: 5_000, maxMs: 20_000 };
      const refreshed = await startLogin(harness, quick);
      const touched = await startLogin(harness, { ...quick, attributes: '{"a":"ä\\n"}' });
      const revoked = await startLogin(harness, quick);
      const idle = await startLogin(harness, { idleMs: 50, maxMs: 100 });
      await harness.wait(30);
      await refreshed.present(1);
      await refreshed.present(2);
      await harness.wait(30);
      await refreshed.present(2);
      await harness.store.touch(touched.handle, { active: true, rights: '[]' });
      await harness.store.touch(touched.handle, { active: false, expiresAtMs: touched.login.createdAtMs + 10_000 });
      expect(await revoked.present(4)).toBe('rotated');
      await revoked.present(5);
      await harness.wait(30);
      expect(await revoked.present(1)).toBe('reused');
      const all = [refreshed, touched, revoked, idle];
      const records = await Promise.all(all.map((login) => login.read()));
      expect(records.map(({ state, endReason }) => `${state} ${endReason}`)).toEqual([
        'active ',
        'active ',
        'revoked token_reuse',
        'expired idle',
      ]);
      const events = (await Promise.all(all.map(({ handle }) => harness.other.events(handle)))).flat();
      const projected = project(events);
      expect(records.map(({ handle }) => projected.get(handle))).toEqual(records.map(told));
      expect(records[0]?.generation).toBe(3);
      await harness.close();
    });

    test('gives the newest 1,000 events of a login, oldest first, each with an id of its own', async () => {
      const harness = await make();
      const { handle } = await startLogin(harness);
      const stranger = await startLogin(harness);
      for (let i = 0; i < 1_200; i += 100) {
        await Promise.all(
          Array.from({ length: 100 }, (_, j) =>
            harness.store.touch(handle, { active: false, attributes: `{"n":${i + j}}` }),
          ),
        );
      }
      const events = await harness.store.events(handle);
      expect(events).toHaveLength(1_000);
      expect(events.map(({ fields }) => fields['attributes'])).toEqual(
        Array.from({ length: 1_000 }, (_, i) => `{"n":${i + 200}}`),
      );
      expect(new Set(events.map(({ id }) => id)).size).toBe(1_000);
      expect(await harness.store.events(stranger.handle)).toHaveLength(1);
      await harness.close();
    });

    test('drops the oldest', async () => {
      const harness = await make({ maxAuditEvents: 64 });
      const { handle } = await startLogin(harness);
      for (let i = 0; i < 400; i += 1) await harness.store.touch(handle, { active: false, attributes: `{"n":${i}}` });
      const events = await harness.store.events(handle);
      expect(events.length).toBeLessThan(300);
      expect(events.at(-1)?.fields['attributes']).toBe('{"n":399}');
      expect(project(events).size).toBe(0);
      await harness.close();
    });
  });
}
