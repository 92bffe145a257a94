import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Upstream } from '../../src/login/upstream.js';
import type { UpstreamProvider } from '../../src/login/upstream-request.js';
import { createLogin } from '../support/create-login.js';
import { cut, type Fault, fails, json, StrictProvider, silence } from '../support/strict-provider.js';
import { KeptLog, memoryParts, providerAt, SECRET, upstreamOf } from './upstream-harness.js';

let idp: StrictProvider;
let parts: ReturnType<typeof memoryParts>;
let log: KeptLog;

beforeEach(async () => {
  idp = await StrictProvider.start();
  parts = memoryParts();
  log = new KeptLog();
});
afterEach(() => idp.stop());

const node = (settings: Partial<UpstreamProvider> = {}, secrets = SECRET): Upstream =>
  upstreamOf({ ...parts, providers: { default: providerAt(idp.tokenUrl, settings) }, secrets, log });

/** A login with a grant. */
async function granted(upstream: Upstream): Promise<{ handle: string; refreshToken: string }> {
  const handle = await createLogin(parts.logins);
  const refreshToken = idp.issue();
  await upstream.put(handle, { refresh_token: refreshToken });
  return { handle, refreshToken };
}

const kinds = async (handle: string) => (await parts.logins.events(handle)).map(({ kind }) => kind);
const says =
  (body: object): Fault =>
  (response) =>
    json(response, 200, body);
const code = (expected: string) => expect.objectContaining({ code: expected });

describe('a refresh', () => {
  test('gives what the provider answered, and keeps the new refresh token', async () => {
    idp.extra = { scope: 'read write' };
    const upstream = node({ freshMs: 0, scope: 'read', exposeAccessToken: true });
    const { handle, refreshToken } = await granted(upstream);
    const token = await upstream.token(handle);
    expect(token).toMatchObject({ token_type: 'Bearer', scope: 'read write', expose: true });
    expect(token.access_token).toMatch(/^at-/);
    expect((token.expires_at ?? 0) - Date.now()).toBeGreaterThan(3_590_000);
    expect((token.expires_at ?? 0) - Date.now()).toBeLessThanOrEqual(3_600_000);
    expect(Object.fromEntries(idp.requests[0]?.params ?? [])).toEqual({
      grant_type: 'refresh_token',
      refresh_token: refreshToken,
      scope: 'read',
      client_id: 'gateway',
    });
    for (let i = 0; i < 5; i += 1) await upstream.token(handle);
    expect(idp.grantOf(refreshToken)).toMatchObject({ rotations: 6, revoked: false });
    expect(await kinds(handle)).toEqual(['created', 'grant_stored', ...Array(6).fill('grant_refreshed')]);
  });

  test('without a new refresh token keeps the old one', async () => {
    idp.rotate = false;
    const upstream = node({ freshMs: 0 });
    const { handle, refreshToken } = await granted(upstream);
    await upstream.token(handle);
    await upstream.token(handle);
    expect(idp.requests.map(({ params }) => params.get('refresh_token'))).toEqual([refreshToken, refreshToken]);
    expect((await parts.grants.read(handle)).grant?.generation).toBe(3);
  });

  test('does not lose the new refresh token to a bad ID token beside it', async () => {
    idp.extra = { id_token: 'not.a.jwt' };
    const upstream = node({ freshMs: 0 });
    const { handle, refreshToken } = await granted(upstream);
    await upstream.token(handle);
    await upstream.token(handle);
    expect(idp.grantOf(refreshToken).rotations).toBe(2);
  });

  test.each([
    ['basic', 'Basic Z2F0ZXdheTpwJTQwc3M=', null],
    ['post', undefined, 'p@ss'],
  ] as const)('authenticates the client by %s', async (clientAuth, header, inBody) => {
    const upstream = node({ clientAuth, clientSecret: 'p@ss' });
    await upstream.token((await granted(upstream)).handle);
    const [{ request, params } = {}] = idp.requests;
    expect(request?.headers.authorization).toBe(header);
    expect(params?.get('client_secret')).toBe(inBody);
  });

  test('happens once for one page load: effects run twice, and the client retries', async () => {
    const upstream = node();
    const { handle, refreshToken } = await granted(upstream);
    const load = () => Promise.all([upstream.token(handle), upstream.token(handle)]);
    const first = await load();
    for (let i = 0; i < 19; i += 1) expect(await load()).toEqual(first);
    expect(await upstream.token(handle)).toEqual(first[0]);
    expect(idp.grantOf(refreshToken)).toMatchObject({ rotations: 1, revoked: false });
  });

  test('happens again when the access token is about to end, or is older than it may be', async () => {
    idp.expiresIn = 2;
    const upstream = node();
    const { handle } = await granted(upstream);
    await upstream.token(handle);
    await upstream.token(handle);
    expect(idp.requests).toHaveLength(2);
    idp.expiresIn = undefined;
    const young = node({ freshMs: 200 });
    const token = await young.token(handle);
    expect(token).not.toHaveProperty('expires_at');
    expect(await young.token(handle)).toEqual(token);
    expect(idp.requests).toHaveLength(3);
    await sleep(250);
    await young.token(handle);
    expect(idp.requests).toHaveLength(4);
  });

  test('is shared by who waited for it, however young it must be', async () => {
    const { handle } = await granted(node());
    const nodes = Array.from({ length: 5 }, () => node({ freshMs: 0 }));
    const tokens = await Promise.all(nodes.map((upstream) => upstream.token(handle)));
    expect(new Set(tokens.map(({ access_token }) => access_token)).size).toBe(1);
    expect(idp.requests).toHaveLength(1);
  });

  test('goes on without the caller, and close waits for it', async () => {
    idp.delayMs = 200;
    const upstream = node();
    const { handle, refreshToken } = await granted(upstream);
    void upstream.token(handle);
    await sleep(50);
    await upstream.close();
    expect(idp.grantOf(refreshToken).rotations).toBe(1);
    expect((await parts.grants.read(handle)).grant?.generation).toBe(2);
  });
});

describe('a grant', () => {
  test('is kept sealed, under the first secret, and outlives a change of secrets', async () => {
    const { handle, refreshToken } = await granted(node());
    const second = node({ freshMs: 0 }, `k2:${'t'.repeat(40)},${SECRET}`);
    const { access_token } = await second.token(handle);
    const { grant } = await parts.grants.read(handle);
    expect(grant?.sealedSecret).toMatch(/^k2\./);
    expect(JSON.stringify(grant)).not.toContain(access_token);
    expect(JSON.stringify(grant)).not.toContain(idp.grantOf(refreshToken).current);
    await node({ freshMs: 0 }, `k2:${'t'.repeat(40)}`).token(handle);
    await expect(node({ freshMs: 0 }).token(handle)).rejects.toEqual(code('upstream_misconfigured'));
    expect(idp.grantOf(refreshToken)).toMatchObject({ rotations: 2, revoked: false });
  });

  test('is not sent to a provider of the same name with another issuer', async () => {
    const { handle } = await granted(node());
    const other = node({ issuer: 'https://other.example' });
    await expect(other.token(handle)).rejects.toEqual(code('upstream_misconfigured'));
    expect(idp.requests).toHaveLength(0);
    await node().token(handle);
  });

  test('is refused for a login that is not active, an unknown provider, or with text that is no token', async () => {
    const upstream = node();
    const { handle } = await granted(upstream);
    const put = (grant: Parameters<Upstream['put']>[1]) => upstream.put(handle, grant);
    await expect(put({ provider: 'x', refresh_token: 'a' })).rejects.toMatchObject({ field: 'provider' });
    for (const refresh_token of ['', 'é', 'a\nb', 'x'.repeat(8_193)]) {
      await expect(put({ refresh_token })).rejects.toMatchObject({ code: 'invalid_field', field: 'refresh_token' });
    }
    await expect(put({ refresh_token: 'a', dpop_key: {} })).rejects.toMatchObject({ field: 'dpop_key' });
    await parts.logins.end(handle, 'logout');
    await expect(put({ refresh_token: 'a' })).rejects.toEqual(code('not_found'));
    await expect(upstream.token(handle)).rejects.toEqual(code('not_found'));
  });

  test('that is replaced while a request is under way answers from the new one', async () => {
    idp.delayMs = 150;
    const upstream = node();
    const { handle, refreshToken } = await granted(upstream);
    const asking = upstream.token(handle);
    await sleep(50);
    const next = idp.issue();
    await upstream.put(handle, { refresh_token: next });
    await asking;
    expect(idp.grantOf(refreshToken).rotations).toBe(1);
    expect(idp.grantOf(next)).toMatchObject({ rotations: 1, revoked: false });
    expect((await parts.grants.read(handle)).grant?.generation).toBe(3);
  });
});

describe('when the provider', () => {
  test('refuses the refresh token, the grant is lost and the login lives', async () => {
    const upstream = node();
    const { handle, refreshToken } = await granted(upstream);
    idp.faults.push(fails(400, 'invalid_grant'));
    await expect(upstream.token(handle)).rejects.toMatchObject({ code: 'upstream_reauth_required', status: 409 });
    await expect(upstream.token(handle)).rejects.toEqual(code('upstream_reauth_required'));
    expect(idp.requests).toHaveLength(1);
    expect(parts.logins.isActive(handle)).toBe(true);
    expect(await kinds(handle)).toEqual(['created', 'grant_stored', 'grant_lost']);
    await upstream.put(handle, { refresh_token: refreshToken });
    await upstream.token(handle);
  });

  test.each([
    ['invalid_client', fails(401, 'invalid_client')],
    ['invalid_client with a challenge', fails(401, 'invalid_client', { 'www-authenticate': 'Basic realm="x"' })],
    ['unauthorized_client', fails(400, 'unauthorized_client')],
    ['a page that is not there', fails(404)],
    ['a redirect', fails(307, undefined, { location: '/elsewhere' })],
  ])('refuses the client (%s), the operator is told and the grant is kept', async (_name, fault) => {
    const upstream = node();
    const { handle } = await granted(upstream);
    idp.faults.push(fault);
    await expect(upstream.token(handle)).rejects.toMatchObject({ code: 'upstream_misconfigured', status: 502 });
    expect(log.of('error')).toEqual(['upstream refresh refused: the settings of the provider do not work']);
    expect(idp.requests).toHaveLength(1);
    await upstream.token(handle);
  });

  test('limits requests, none is sent before the time it asks for', async () => {
    const upstream = node();
    const { handle } = await granted(upstream);
    idp.faults.push(fails(429, undefined, { 'retry-after': '2' }));
    const limited = { code: 'upstream_unavailable', status: 503, retryAfterMs: 2_000 };
    await expect(upstream.token(handle)).rejects.toMatchObject(limited);
    await expect(node().token(handle)).rejects.toMatchObject({ code: 'upstream_unavailable' });
    expect(idp.requests).toHaveLength(1);
    await sleep(2_050);
    await upstream.token(handle);
    expect(idp.requests).toHaveLength(2);
  });

  test.each([
    ['fails with 500', fails(500)],
    ['breaks the connection', cut],
    ['does not answer', silence],
    ['answers too much', says({ access_token: 'x'.repeat(70_000) })],
    ['answers with half a token', says({ token_type: 'Bearer' })],
  ])('%s, the next call sends once more when the first has surely ended', async (_name, fault) => {
    const upstream = node();
    const { handle, refreshToken } = await granted(upstream);
    idp.faults.push(fault);
    const startMs = performance.now();
    const failing = upstream.token(handle);
    await expect(failing).rejects.toMatchObject({ code: 'upstream_unavailable', retryAfterMs: expect.any(Number) });
    await Promise.all([upstream.token(handle), node().token(handle)]);
    expect(performance.now() - startMs).toBeGreaterThan(1_000);
    expect(idp.requests).toHaveLength(2);
    expect(idp.mostInFlight).toBe(1);
    expect(idp.grantOf(refreshToken)).toMatchObject({ rotations: 1, revoked: false });
  });

  test('used the token and its answer was lost, one repetition tells that the grant is spent', async () => {
    const upstream = node();
    const { handle } = await granted(upstream);
    idp.lateFaults.push(cut);
    await expect(upstream.token(handle)).rejects.toEqual(code('upstream_unavailable'));
    await expect(upstream.token(handle)).rejects.toEqual(code('upstream_reauth_required'));
    await expect(upstream.token(handle)).rejects.toEqual(code('upstream_reauth_required'));
    expect(idp.requests).toHaveLength(2);
  });

  test('cannot be reached, nothing was sent and the next call may send soon', async () => {
    const upstream = node();
    const { handle } = await granted(upstream);
    await idp.stop();
    await expect(upstream.token(handle)).rejects.toEqual(code('upstream_unavailable'));
    expect((await parts.grants.read(handle)).grant).toMatchObject({ sendingSinceMs: 0, generation: 1, state: 'ok' });
    idp = await StrictProvider.start();
  });
});

test('a store whose clock was set back after a request was lost keeps nobody waiting for it', async () => {
  const upstream = node();
  const { handle } = await granted(upstream);
  const { grant } = await parts.grants.read(handle);
  if (grant === undefined) throw new Error('there is no grant');
  expect(await parts.grants.begin(handle, grant)).toBeGreaterThan(0);
  const read = parts.grants.read.bind(parts.grants);
  vi.spyOn(parts.grants, 'read').mockImplementation(async (asked) => {
    const { nowMs, ...found } = await read(asked);
    return { ...found, nowMs: nowMs - 3_600_000 };
  });
  const startMs = performance.now();
  expect((await upstream.token(handle)).access_token).toMatch(/^at-/);
  expect(performance.now() - startMs).toBeGreaterThan(600);
  expect(idp.requests).toHaveLength(1);
}, 5_000);

test('calls beyond a hundred that wait for one grant are told to come back', async () => {
  idp.delayMs = 200;
  const upstream = node();
  const { handle } = await granted(upstream);
  const results = await Promise.allSettled(Array.from({ length: 150 }, () => upstream.token(handle)));
  const refused = results.filter(({ status }) => status === 'rejected') as PromiseRejectedResult[];
  expect(refused).toHaveLength(49);
  expect(refused[0]?.reason).toMatchObject({ code: 'upstream_busy', status: 503 });
  expect(idp.requests).toHaveLength(1);
});

test('two grants do not wait for each other', async () => {
  const upstream = node();
  const [slow, fast] = [await granted(upstream), await granted(upstream)];
  idp.faults.push(silence);
  const stuck = upstream.token(slow.handle).catch(() => 'stuck');
  await sleep(20);
  const startMs = performance.now();
  await upstream.token(fast.handle);
  expect(performance.now() - startMs).toBeLessThan(400);
  expect(await stuck).toBe('stuck');
});

test('nothing that is logged tells a token or a secret', async () => {
  const upstream = node({ clientAuth: 'post', clientSecret: 'client-secret', freshMs: 0 });
  const { handle, refreshToken } = await granted(upstream);
  const { access_token } = await upstream.token(handle);
  for (const fault of [cut, fails(400, 'invalid_client'), fails(400, 'rt-odd error text')]) {
    idp.faults.push(fault);
    await upstream.token(handle).catch(() => {});
  }
  const logged = JSON.stringify(log.lines);
  expect(log.lines.length).toBeGreaterThan(3);
  for (const secret of [refreshToken, access_token, idp.grantOf(refreshToken).current, 'client-secret', 'odd error']) {
    expect(logged).not.toContain(secret);
  }
});

test('settings that cannot work are told at the start', () => {
  for (const settings of [
    { tokenUrl: 'http://idp.example/token' },
    { tokenUrl: 'https://user:pass@idp.example/token' },
    { clientAuth: 'basic' },
    { clientSecret: 'x' },
  ] as Partial<UpstreamProvider>[]) {
    expect(() => node(settings)).toThrow(TypeError);
  }
});
