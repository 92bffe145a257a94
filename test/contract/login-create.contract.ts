import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  IDLE_MS,
  type LoginHarness,
  loginRequest,
  MAX_MS,
  type MakeLoginHarness,
  presented,
  RETENTION_MS,
  startLogin,
  tokenOf,
} from './login-harness.js';

/** What `LoginStore` promises of the beginning of logins. */
export function loginCreateContract(make: MakeLoginHarness): void {
  describe('create', () => {
    let harness: LoginHarness;

    beforeAll(async () => {
      harness = await make({ maxLoginsPerPrincipal: 3 });
    });

    afterAll(() => harness.close());

    test('makes an active login, which every node sees', async () => {
      const { request, login } = await startLogin(harness);
      const { createdAtMs, ...rest } = login;
      expect(rest).toEqual({
        loginId: request.loginId,
        handle: request.handle,
        principal: 'alice',
        attributes: request.attributes,
        rights: request.rights,
        lastSeenAtMs: createdAtMs,
        expiresAtMs: createdAtMs + IDLE_MS,
        maxExpiresAtMs: createdAtMs + MAX_MS,
        generation: 1,
        state: 'active',
        endedAtMs: 0,
        endReason: '',
      });
      expect(createdAtMs).toBeGreaterThan(1_700_000_000_000);
      expect(await harness.other.read(request.handle)).toEqual(login);
    });

    test('keeps whatever text a principal and its attributes are made of', async () => {
      const principal = 'ålice "A"\n\\ 🦊';
      const attributes = JSON.stringify({ note: `${principal}\u0000\u2028` });
      const { read } = await startLogin(harness, { principal, attributes });
      expect(await read()).toMatchObject({ principal, attributes });
    });

    test('gives a taken id to nobody, whether it is chosen or not', async () => {
      for (const chosen of [true, false]) {
        const { request, login, read } = await startLogin(harness, { chosen });
        const second = { ...request, principal: 'bob', tokenHash: 'another' };
        expect(await harness.other.create(second)).toEqual({ result: 'duplicate' });
        expect(await read()).toEqual(login);
      }
    });

    test('gives a chosen id to nobody for ever, also after the login ended and its record is gone', async () => {
      const { request, handle, age } = await startLogin(harness, { chosen: true });
      const again = { ...request, tokenHash: 'another' };
      await harness.store.end(handle, 'logout');
      expect((await harness.other.create(again)).result).toBe('duplicate');
      await age(RETENTION_MS + MAX_MS);
      await harness.wait(1);
      expect(await harness.store.read(handle)).toBeUndefined();
      expect((await harness.other.create(again)).result).toBe('duplicate');
    });

    test('answers the same request sent again with the login, as it is now', async () => {
      const { request, handle, login } = await startLogin(harness, { requestHash: 'request' });
      const again = { ...request, tokenHash: 'another' };
      expect(await harness.other.create(again)).toEqual({ result: 'replayed', login });
      await harness.store.end(handle, 'logout');
      expect(await harness.other.create(again)).toMatchObject({ result: 'replayed', login: { state: 'revoked' } });
    });

    test('answers a call that was sent twice, and refuses another request under the same id', async () => {
      const { request, login } = await startLogin(harness);
      expect(await harness.store.create(request)).toEqual({ result: 'replayed', login });
      const other = { ...request, requestHash: 'other', tokenHash: 'other' };
      expect((await harness.store.create(other)).result).toBe('duplicate');
    });

    test('has one winner among concurrent creates on two nodes', async () => {
      const base = loginRequest({ chosen: true });
      const results = await Promise.all(
        Array.from({ length: 40 }, (_, i) => {
          const store = i % 2 === 0 ? harness.store : harness.other;
          return store.create({ ...base, principal: `p${i}`, tokenHash: `t${i}` });
        }),
      );
      const created = results.filter(({ result }) => result === 'created');
      expect(created).toHaveLength(1);
      expect(results.filter(({ result }) => result === 'duplicate')).toHaveLength(39);
      expect(await harness.store.read(base.handle)).toEqual(created[0]?.login);
    });

    test('takes an end of the application’s, not beyond the absolute one, and none that is past', async () => {
      const soon = await startLogin(harness);
      const nowMs = soon.login.createdAtMs;
      const ends = async (expiresAtMs: number) => harness.store.create(loginRequest({ expiresAtMs }));
      expect(await ends(nowMs)).toEqual({ result: 'invalid_expiry' });
      expect(await ends(nowMs - 1)).toEqual({ result: 'invalid_expiry' });
      expect((await ends(nowMs + 5 * IDLE_MS)).login?.expiresAtMs).toBe(nowMs + 5 * IDLE_MS);
      const { login } = await ends(nowMs + 2 * MAX_MS);
      expect(login?.expiresAtMs).toBe(login?.maxExpiresAtMs);
    });

    test('leaves a refused id free', async () => {
      const request = loginRequest({ chosen: true, expiresAtMs: 1 });
      expect((await harness.store.create(request)).result).toBe('invalid_expiry');
      expect((await harness.store.create({ ...request, expiresAtMs: 0 })).result).toBe('created');
    });

    test('bounds the active logins of a principal', async () => {
      const { principalHandle } = loginRequest();
      const logins = [];
      for (let i = 0; i < 3; i += 1) logins.push(await startLogin(harness, { principalHandle }));
      const fourth = loginRequest({ principalHandle });
      expect(await harness.store.create(fourth)).toEqual({ result: 'too_many' });
      expect((await harness.store.create(logins[0]?.request ?? fourth)).result).toBe('replayed');
      await harness.store.end(logins[1]?.handle ?? '', 'logout');
      expect((await harness.store.create(fourth)).result).toBe('created');
      expect((await harness.store.create(loginRequest({ principalHandle }))).result).toBe('too_many');
    });

    test('stores no token but the hashes that it was given', async () => {
      const { handle, request } = await startLogin(harness);
      await harness.store.present(handle, presented(request, 1));
      const events = JSON.stringify(await harness.store.events(handle));
      expect(events).toContain(handle);
      expect(events).not.toContain(request.loginId);
      expect(events).not.toContain(tokenOf(request, 1));
    });
  });

  describe('list', () => {
    let harness: LoginHarness;

    beforeAll(async () => {
      harness = await make();
    });

    afterAll(() => harness.close());

    test('has the active logins of one principal, oldest first', async () => {
      const { principalHandle } = loginRequest();
      const logins = [];
      for (let i = 0; i < 4; i += 1) {
        logins.push((await startLogin(harness, { principalHandle })).login);
        await harness.wait(2);
      }
      await startLogin(harness);
      expect(await harness.other.list(principalHandle)).toEqual(logins);
      await harness.store.end(logins[1]?.handle ?? '', 'revoked');
      const left = logins.filter((_, i) => i !== 1);
      expect(await harness.other.list(principalHandle)).toEqual(left);
      expect(await harness.other.list(principalHandle)).toEqual(left);
      expect(await harness.store.list(loginRequest().principalHandle)).toEqual([]);
    });

    test('leaves out what has lapsed, and ends it', async () => {
      const { principalHandle } = loginRequest();
      const { handle, age } = await startLogin(harness, { principalHandle });
      await age(IDLE_MS);
      expect(await harness.store.list(principalHandle)).toEqual([]);
      expect((await harness.store.events(handle)).map(({ kind }) => kind)).toEqual(['created', 'ended']);
    });

    test('does not show a login to a principal that asked for its id in vain', async () => {
      const { request, login } = await startLogin(harness);
      const { principalHandle } = loginRequest();
      await harness.store.create({ ...request, principalHandle, tokenHash: 'another' });
      expect(await harness.store.list(principalHandle)).toEqual([]);
      expect(await harness.store.list(request.principalHandle)).toEqual([login]);
    });

    test('misses no login that is made while it is read', async () => {
      const { principalHandle } = loginRequest();
      const requests = Array.from({ length: 30 }, () => loginRequest({ principalHandle }));
      await Promise.all(
        requests.flatMap((request) => [harness.store.create(request), harness.other.list(principalHandle)]),
      );
      expect(await harness.store.list(principalHandle)).toHaveLength(30);
    });
  });
}
