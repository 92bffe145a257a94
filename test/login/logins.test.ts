import { describe, expect, it } from 'vitest';
import type { Credential } from '../../src/login/api.js';
import { loginHandle, newLoginId, principalHandle } from '../../src/login/handles.js';
import { ACCESS_MS, appJwt, codeOf, deployment, IDLE_MS, MAX_MS } from './logins-harness.js';

const ORIGIN = 'https://app.example';
const bearer = (token: string): Credential => ({ kind: 'bearer', token });
const refreshToken = (token: string): Credential => ({ kind: 'refresh_token', token });

async function loggedIn() {
  const parts = deployment();
  const logins = parts.node();
  const rights = [{ sessions: '*', allow: ['watch'] }];
  const created = await logins.create({ principal: 'alice', rights });
  const handle = loginHandle(created.login_id);
  const login = { id: created.login_id, handle };
  const jwt = (changes: object = {}) =>
    appJwt({ sub: 'bob', iatMs: parts.clock.wallMs(), expMs: parts.clock.wallMs() + 60_000, ...changes });
  return { ...parts, logins, rights, created, login, handle, jwt };
}

describe('a credential', () => {
  it('says who presents it', async () => {
    const { clock, logins, created, login, rights, jwt } = await loggedIn();
    const alice = { principal: 'alice', rights, login, issuedAtMs: 0, expiresAtMs: 0 };
    expect(await logins.authenticate(bearer(created.access_token))).toEqual(alice);
    expect(await logins.verifyBearer(created.access_token)).toEqual(alice);
    expect(await logins.authenticate(refreshToken(created.refresh_token))).toEqual(alice);
    const bob = { principal: 'bob', rights: [], issuedAtMs: clock.wallMs(), expiresAtMs: clock.wallMs() + 60_000 };
    expect(await logins.authenticate(bearer(jwt()))).toEqual(bob);
    expect(await logins.verifyBearer(jwt())).toEqual(bob);
  });

  it('counts with the rights that its login has now', async () => {
    const { logins, created } = await loggedIn();
    await logins.patch(created.login_id, { rights: [] });
    expect(await logins.authenticate(bearer(created.access_token))).toMatchObject({ rights: [] });
  });

  it('is verified once, however often it comes', async () => {
    const { logins, jwt, verifier } = await loggedIn();
    const token = jwt();
    for (let i = 0; i < 5; i += 1) await logins.verifyBearer(token);
    expect(verifier.calls).toBe(1);
  });

  it('of the application is verified again after a while', async () => {
    const { clock, logins, jwt, verifier } = await loggedIn();
    const token = jwt({ expMs: clock.wallMs() + MAX_MS });
    await logins.verifyBearer(token);
    clock.advance(300_000);
    await logins.verifyBearer(token);
    expect(verifier.calls).toBe(2);
  });

  it('ends', async () => {
    const { clock, logins, created } = await loggedIn();
    await logins.verifyBearer(created.access_token);
    clock.advance(ACCESS_MS);
    expect(await codeOf(logins.verifyBearer(created.access_token))).toBe('invalid_credential');
  });

  it.each(['', 'x', 'a.b.c', 'x'.repeat(1_000_000)])('that is none is refused', async (token) => {
    const { logins } = await loggedIn();
    expect(await codeOf(logins.authenticate(bearer(token)))).toBe('invalid_credential');
    expect(await codeOf(logins.authenticate(refreshToken(token)))).toBe('invalid_refresh_token');
  });

  it('of one kind is not taken for another', async () => {
    const { logins, created } = await loggedIn();
    const { ticket } = await logins.ticket(bearer(created.access_token), ORIGIN);
    for (const token of [created.refresh_token, created.login_code, ticket]) {
      expect(await codeOf(logins.authenticate(bearer(token)))).toBe('invalid_credential');
    }
    for (const token of [created.refresh_token, created.access_token, created.login_code]) {
      expect(await codeOf(logins.takeTicket(token, ORIGIN))).toBe('invalid_credential');
    }
    for (const token of [created.access_token, ticket]) {
      expect(await codeOf(logins.exchange(token, ORIGIN))).toBe('invalid_login_code');
    }
  });

  it('of the application is refused without a verifier, and for a principal that nobody may be', async () => {
    const { node, jwt } = await loggedIn();
    expect(await codeOf(node({ jwt: undefined }).verifyBearer(jwt()))).toBe('invalid_credential');
    expect(await codeOf(node().verifyBearer(jwt({ sub: 'anon:1' })))).toBe('invalid_credential');
  });

  it('of a login is refused where logins are off', async () => {
    const { clock, node, settings } = deployment();
    const { access_token, refresh_token } = await node().create({ principal: 'alice' });
    const { ticket } = await node().ticket({ kind: 'bearer', token: access_token }, undefined);
    const jwtOnly = node({ settings: { ...settings, jwtOnly: true } });
    expect(await codeOf(jwtOnly.ticket({ kind: 'refresh_token', token: refresh_token }, undefined))).toBe(
      'invalid_refresh_token',
    );
    expect(await codeOf(jwtOnly.verifyBearer(access_token))).toBe('invalid_credential');
    expect(await codeOf(jwtOnly.takeTicket(ticket, undefined))).toBe('invalid_credential');
    const token = appJwt({ sub: 'bob', expMs: clock.wallMs() + 60_000 });
    expect(await jwtOnly.verifyBearer(token)).toMatchObject({ principal: 'bob' });
  });

  it('has a login behind it, or none', async () => {
    const { logins, created, jwt } = await loggedIn();
    const view = await logins.get(created.login_id);
    expect(await logins.me(bearer(created.access_token))).toEqual(view);
    expect(await logins.me(refreshToken(created.refresh_token))).toEqual(view);
    expect(await codeOf(logins.me(bearer(jwt())))).toBe('no_login');
    expect(await codeOf(logins.logout(bearer(jwt())))).toBe('no_login');
    expect(await codeOf(logins.upstreamToken(bearer(jwt())))).toBe('no_login');
    expect(await codeOf(logins.upstreamToken(bearer(created.access_token)))).toBe('not_found');
  });
});

describe('a ticket', () => {
  it('stands once for who asked for it', async () => {
    const { clock, logins, created, login, jwt } = await loggedIn();
    for (const credential of [bearer(created.access_token), refreshToken(created.refresh_token)]) {
      const { ticket, expires_at } = await logins.ticket(credential, ORIGIN);
      expect(ticket).toMatch(/^hft_[\w-]{43}$/);
      expect(expires_at).toBe(clock.wallMs() + 30_000);
      expect(await logins.takeTicket(ticket, ORIGIN)).toMatchObject({ principal: 'alice', login });
      expect(await codeOf(logins.takeTicket(ticket, ORIGIN))).toBe('invalid_credential');
    }
    const { ticket } = await logins.ticket(bearer(jwt()), undefined);
    expect(await logins.takeTicket(ticket, undefined)).toEqual(await logins.verifyBearer(jwt()));
  });

  it('is taken by one of many callers on any node', async () => {
    const { node, logins, created } = await loggedIn();
    const { ticket } = await logins.ticket(bearer(created.access_token), ORIGIN);
    const results = await Promise.allSettled(Array.from({ length: 20 }, () => node().takeTicket(ticket, ORIGIN)));
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  });

  it.each([
    [ORIGIN, undefined],
    [undefined, ORIGIN],
    [ORIGIN, 'null'],
    [ORIGIN, `${ORIGIN}:443`],
    [ORIGIN, `${ORIGIN}.evil.example`],
    [ORIGIN, ORIGIN.toUpperCase()],
  ])('of %s is spent by an attempt from %s', async (from, to) => {
    const { logins, created } = await loggedIn();
    const { ticket } = await logins.ticket(bearer(created.access_token), from);
    expect(await codeOf(logins.takeTicket(ticket, to))).toBe('invalid_credential');
    expect(await codeOf(logins.takeTicket(ticket, from))).toBe('invalid_credential');
  });

  it('ends with its time, and with the token of the application that it was given for', async () => {
    const { clock, logins, created, jwt } = await loggedIn();
    const ofLogin = await logins.ticket(bearer(created.access_token), ORIGIN);
    const ofJwt = await logins.ticket(bearer(jwt({ expMs: clock.wallMs() + 10_000 })), ORIGIN);
    clock.advance(10_000);
    expect(await codeOf(logins.takeTicket(ofJwt.ticket, ORIGIN))).toBe('invalid_credential');
    clock.advance(20_000);
    expect(await codeOf(logins.takeTicket(ofLogin.ticket, ORIGIN))).toBe('invalid_credential');
  });

  it('does not rotate the refresh token that it is given for', async () => {
    const { clock, logins, created } = await loggedIn();
    clock.advance(IDLE_MS / 2);
    await logins.ticket(refreshToken(created.refresh_token), ORIGIN);
    expect((await logins.refresh(created.refresh_token)).refresh_token.split('.')[3]).toBe('2');
  });
});

describe('the end of a login', () => {
  const ends: [string, string, (parts: Awaited<ReturnType<typeof loggedIn>>) => Promise<unknown>][] = [
    ['logout with an access token', 'logout', (p) => p.logins.logout(bearer(p.created.access_token))],
    ['logout with a refresh token', 'logout', (p) => p.logins.logout(refreshToken(p.created.refresh_token))],
    ['revocation', 'revoked', (p) => p.logins.revoke(p.created.login_id)],
    ['revocation of all', 'revoked', (p) => p.logins.revokeAll('alice')],
  ];

  it.each(ends)('by %s is told to all nodes', async (_, reason, end) => {
    const parts = await loggedIn();
    const { logins, created, handle, notices, released } = parts;
    const { ticket } = await logins.ticket(bearer(created.access_token), ORIGIN);
    await end(parts);
    expect(await notices()).toEqual([{ kind: 'login_ended', handle, reason }]);
    expect(released).toEqual([handle]);
    for (const credential of [bearer(created.access_token), refreshToken(created.refresh_token)]) {
      expect(await codeOf(logins.authenticate(credential))).toBe('login_ended');
      expect(await codeOf(logins.me(credential))).toBe('login_ended');
      expect(await codeOf(logins.ticket(credential, ORIGIN))).toBe('login_ended');
    }
    expect(await codeOf(logins.refresh(created.refresh_token))).toBe('login_ended');
    expect(await codeOf(logins.get(created.login_id))).toBe('not_found');
    expect(await codeOf(logins.patch(created.login_id, { attributes: {} }))).toBe('not_found');
    expect(await logins.list('alice')).toEqual([]);
    // The ticket names the login, and the login says that it is over.
    const { login } = await logins.takeTicket(ticket, ORIGIN);
    for (const ask of [logins.login, logins.renew]) {
      expect(await ask.call(logins, login?.handle ?? '')).toEqual({ ended: reason });
    }
    expect(await logins.touch(handle, true)).toEqual({ ended: reason });
  });

  it.each(ends.slice(0, 3))('by %s is told again when it is repeated, and keeps its reason', async (_, reason, end) => {
    const parts = await loggedIn();
    await end(parts);
    await end(parts);
    await parts.logins.revoke(parts.created.login_id);
    const notice = { kind: 'login_ended', handle: parts.handle, reason };
    expect(await parts.notices()).toEqual([notice, notice, notice]);
    expect(parts.released).toHaveLength(3);
    expect(await parts.logins.revoke(parts.created.login_id)).toMatchObject({ state: 'revoked', end_reason: reason });
  });

  it('that could not be announced is repaired by repeating it', async () => {
    const { node, control, created, handle, notices } = await loggedIn();
    const failing = node({
      control: {
        append: () => Promise.reject(new Error('away')),
        end: () => control.end(),
        read: (position) => control.read(position),
      },
    });
    await expect(failing.revoke(created.login_id)).rejects.toThrow('away');
    expect(await notices()).toEqual([]);
    await node().revoke(created.login_id);
    expect(await notices()).toEqual([{ kind: 'login_ended', handle, reason: 'revoked' }]);
  });

  it('of all logins of a principal counts those that it ended', async () => {
    const { logins, created } = await loggedIn();
    await logins.create({ principal: 'alice' });
    await logins.create({ principal: 'bob' });
    await logins.revoke(created.login_id);
    expect(await logins.revokeAll('alice')).toBe(1);
    expect(await logins.revokeAll('alice')).toBe(0);
    expect(await logins.list('bob')).toHaveLength(1);
  });

  it('by its time is one for connections too', async () => {
    const { clock, logins, handle } = await loggedIn();
    expect(await logins.touch(handle, true)).toEqual({ endsAtMs: clock.wallMs() + IDLE_MS });
    clock.advance(IDLE_MS - 1);
    await logins.touch(handle, false);
    clock.advance(1);
    expect(await logins.touch(handle, true)).toEqual({ ended: 'idle' });
    expect(await logins.login(loginHandle(newLoginId()))).toEqual({ ended: 'expired' });
  });
});

describe('an unknown login', () => {
  it('is not found', async () => {
    const { logins } = await loggedIn();
    const id = newLoginId();
    const upstream = logins.upstreamTokenOf(id);
    for (const work of [logins.get(id), logins.patch(id, {}), logins.revoke(id), logins.events(id), upstream]) {
      expect(await codeOf(work)).toBe('not_found');
    }
    expect(await codeOf(logins.putUpstream(id, { refresh_token: 'r' }))).toBe('invalid_field upstream');
  });
});

describe('a change by the application', () => {
  it('replaces attributes, rights and end', async () => {
    const { clock, logins, created } = await loggedIn();
    const changes = { attributes: { a: 1 }, rights: [], expires_at: clock.wallMs() + 1_000 };
    expect(await logins.patch(created.login_id, changes)).toMatchObject(changes);
    expect(await logins.get(created.login_id)).toMatchObject(changes);
    expect(await codeOf(logins.patch(created.login_id, { expires_at: clock.wallMs() }))).toBe(
      'invalid_field expires_at',
    );
    expect(await codeOf(logins.patch(created.login_id, { attributes: { a: 'x'.repeat(4096) } }))).toBe(
      'invalid_field attributes',
    );
  });

  it('is an event', async () => {
    const { clock, logins, created, rights } = await loggedIn();
    const createdAtMs = clock.wallMs();
    clock.advance(10);
    await logins.patch(created.login_id, { attributes: { a: 1 } });
    const fields = { last_seen_at: createdAtMs + 10, attributes: { a: 1 } };
    expect(await logins.events(created.login_id)).toMatchObject([
      { kind: 'created', at: createdAtMs, fields: { principal: 'alice', rights, generation: 1, state: 'active' } },
      { kind: 'touched', at: createdAtMs + 10, fields },
    ]);
  });
});

describe('a connection', () => {
  it('is renewed with a fresh access token, and keeps its login alive', async () => {
    const { clock, logins, handle, login, rights } = await loggedIn();
    for (let i = 0; i < 5; i += 1) {
      clock.advance(IDLE_MS - 1);
      const renewed = await logins.renew(handle);
      if (renewed.ended !== undefined) throw new Error(renewed.ended);
      expect(renewed).toMatchObject({ rights, endsAtMs: clock.wallMs() + IDLE_MS });
      expect(renewed.expiresAtMs).toBe(Math.floor((clock.wallMs() + ACCESS_MS) / 1000) * 1000);
      expect(await logins.verifyBearer(renewed.accessToken)).toMatchObject({ login });
    }
  });
});

describe('a principal that was disconnected', () => {
  it('needs a JWT that was issued since', async () => {
    const { clock, logins, jwt, notices } = await loggedIn();
    const old = bearer(jwt());
    const without = bearer(jwt({ iatMs: undefined }));
    const { ticket } = await logins.ticket(old, ORIGIN);
    clock.advance(1);
    const notBeforeMs = clock.wallMs();
    expect(await logins.notBeforeMs('bob')).toBe(0);
    await logins.disconnect('bob', notBeforeMs);
    expect(await logins.notBeforeMs('bob')).toBe(notBeforeMs);
    const notice = { kind: 'principal_disconnected', principalHandle: principalHandle('bob'), notBeforeMs };
    expect(await notices()).toEqual([notice]);
    for (const credential of [old, without]) {
      expect(await codeOf(logins.authenticate(credential))).toBe('invalid_credential');
      expect(await codeOf(logins.ticket(credential, ORIGIN))).toBe('invalid_credential');
    }
    // What is asked once the connection is registered tells.
    const { issuedAtMs } = await logins.takeTicket(ticket, ORIGIN);
    expect(issuedAtMs).toBeLessThan(await logins.notBeforeMs('bob'));
    await expect(logins.authenticate(bearer(jwt()))).resolves.toMatchObject({ principal: 'bob' });
    await expect(logins.authenticate(bearer(jwt({ sub: 'carol', iatMs: 0 })))).resolves.toBeDefined();
  });

  it('keeps its logins', async () => {
    const { clock, logins, created } = await loggedIn();
    await logins.disconnect('alice', clock.wallMs() + 1);
    await expect(logins.authenticate(bearer(created.access_token))).resolves.toMatchObject({ principal: 'alice' });
  });

  it('has a name', async () => {
    const { logins } = await loggedIn();
    for (const work of [logins.disconnect('', 0), logins.list(' x'), logins.revokeAll('anon:1')]) {
      expect(await codeOf(work)).toBe('invalid_field principal');
    }
  });
});

it('gives no token, ticket or code to stores and logs', async () => {
  const { clock, logins, created, seen, logged, jwt } = await loggedIn();
  const issued = [created.access_token, created.refresh_token, created.login_code, jwt()];
  const { ticket } = await logins.ticket(refreshToken(created.refresh_token), ORIGIN);
  const ofJwt = await logins.ticket(bearer(jwt()), ORIGIN);
  const exchanged = await logins.exchange(created.login_code, ORIGIN);
  clock.advance(60_000);
  const second = await logins.refresh(exchanged.refresh_token);
  await logins.refresh(second.refresh_token);
  clock.advance(60_000);
  await logins.takeTicket(ticket, ORIGIN).catch(() => undefined);
  await logins.refresh(created.refresh_token).catch(() => undefined);
  await logins.refresh(`${second.refresh_token.slice(0, -3)}AAA`).catch(() => undefined);
  await logins.authenticate(bearer(second.access_token)).catch(() => undefined);
  issued.push(ticket, ofJwt.ticket, exchanged.access_token, second.access_token, second.refresh_token);
  const text = JSON.stringify([seen, logged]);
  expect(seen.length).toBeGreaterThan(10);
  expect(logged.length).toBeGreaterThan(3);
  // The last characters are signature, MAC or chance: what comes before names kind, key and login.
  for (const token of issued) expect(text).not.toContain(token.slice(-20));
  const chains = [created, second].map(({ refresh_token }) => refresh_token.split('.')[4]);
  for (const chain of chains) expect(text).not.toContain(chain);
});
