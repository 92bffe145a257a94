import { describe, expect, it } from 'vitest';
import { loginHandle, newLoginId } from '../../src/login/handles.js';
import { RefreshTokens } from '../../src/login/refresh-token.js';
import { ACCESS_MS, codeOf, deployment, IDLE_MS, MAX_MS, REUSE_MS, secret } from './logins-harness.js';

/** A login whose first token is old enough to be rotated. */
async function loggedIn() {
  const parts = deployment();
  const logins = parts.node();
  const created = await logins.create({ principal: 'alice' });
  parts.clock.advance(REUSE_MS);
  parts.logged.length = 0;
  return {
    ...parts,
    logins,
    loginId: created.login_id,
    handle: loginHandle(created.login_id),
    t1: created.refresh_token,
  };
}

const generationOf = (token: string) => Number(token.split('.')[3]);

describe('a refresh', () => {
  it('gives the successor and a fresh access token', async () => {
    const { clock, logins, loginId, t1 } = await loggedIn();
    const tokens = await logins.refresh(t1);
    expect(generationOf(tokens.refresh_token)).toBe(2);
    expect(tokens).toMatchObject({ login_id: loginId, principal: 'alice', expires_at: clock.wallMs() + ACCESS_MS });
    expect(tokens.max_expires_at).toBe(clock.wallMs() - REUSE_MS + MAX_MS);
    await expect(logins.verifyBearer(tokens.access_token)).resolves.toMatchObject({ principal: 'alice' });
  });

  it('keeps a token that is younger than the reuse interval', async () => {
    const { logins, t1 } = await loggedIn();
    const { refresh_token: t2 } = await logins.refresh(t1);
    expect((await logins.refresh(t2)).refresh_token).toBe(t2);
  });

  it('that comes 402 times at once rotates once, and all callers get one successor', async () => {
    const { clock, node, logins, secrets, logged, t1 } = await loggedIn();
    const other = secret('b');
    const last = node({ secrets: [...secrets, other] });
    const nodes = [logins, node({ secrets: [other, ...secrets] }), last];
    const answers = await Promise.all(Array.from({ length: 134 }, () => nodes.map((each) => each.refresh(t1))).flat());
    const chains = new Set(answers.map(({ refresh_token: token }) => token.split('.')[4]));
    expect(chains.size).toBe(1);
    const reasons = logged.map(({ fields }) => fields['reason']);
    expect(reasons.filter((reason) => reason === 'rotated')).toHaveLength(1);
    expect(reasons.filter((reason) => reason === 'replayed')).toHaveLength(401);
    const texts = new Set(answers.map(({ refresh_token: token }) => token));
    expect(texts.size).toBe(2);
    // The nodes wrote it under two keys: either text goes on to the same token.
    clock.advance(REUSE_MS);
    const nexts = await Promise.all([...texts].map((text) => last.refresh(text)));
    expect(new Set(nexts.map(({ refresh_token: token }) => token)).size).toBe(1);
  });

  it('may be repeated for as long as its successor was never used', async () => {
    const { clock, logins, t1 } = await loggedIn();
    const { refresh_token: t2 } = await logins.refresh(t1);
    for (let i = 0; i < 20; i += 1) {
      clock.advance(IDLE_MS - 1_000);
      expect((await logins.refresh(t1)).refresh_token).toBe(t2);
    }
  });

  it('slides the idle expiry, but not past the absolute end', async () => {
    const { clock, logins, loginId, t1 } = await loggedIn();
    let token = t1;
    for (let i = 0; i < 24; i += 1) {
      clock.advance(IDLE_MS - 2 * REUSE_MS);
      token = (await logins.refresh(token)).refresh_token;
    }
    expect((await logins.get(loginId)).expires_at).toBe((await logins.get(loginId)).max_expires_at);
    clock.advance(IDLE_MS);
    expect(await codeOf(logins.refresh(token))).toBe('login_ended');
  });

  it('goes on after all secrets were replaced one by one', async () => {
    const { clock, node, secrets, t1 } = await loggedIn();
    const next = secret('b');
    const { refresh_token: t2 } = await node({ secrets: [next, ...secrets] }).refresh(t1);
    expect(t2.startsWith('hfr1.b.')).toBe(true);
    clock.advance(REUSE_MS);
    expect(generationOf((await node({ secrets: [next] }).refresh(t2)).refresh_token)).toBe(3);
  });

  it.each(['', 'hfr1.', 'hft_x', 'x'.repeat(1_000_000)])('refuses what is no token', async (token) => {
    const { logins, logged, seen } = await loggedIn();
    seen.length = 0;
    expect(await codeOf(logins.refresh(token))).toBe('invalid_refresh_token');
    expect(logged).toMatchObject([{ level: 'warn', fields: { reason: 'malformed' } }]);
    expect(seen).toEqual([]);
  });

  it('refuses a forged token without asking the store', async () => {
    const { logins, logged, seen, handle, t1, loginId } = await loggedIn();
    seen.length = 0;
    const foreign = new RefreshTokens([secret('a')]);
    expect(await codeOf(logins.refresh(foreign.write(foreign.first(loginId, 'guess'))))).toBe('invalid_refresh_token');
    expect(await codeOf(logins.refresh(t1.replace('hfr1.a.', 'hfr1.b.')))).toBe('invalid_refresh_token');
    expect(logged.map(({ fields }) => fields['reason'])).toEqual(['forged', 'unknown_key']);
    expect(seen).toEqual([]);
    await expect(logins.login(handle)).resolves.toMatchObject({ rights: [] });
  });

  it('refuses a genuine token of a login that the store does not know, or that it never gave out', async () => {
    const { logins, logged, secrets, loginId } = await loggedIn();
    const own = new RefreshTokens(secrets);
    for (const id of [newLoginId(), loginId]) {
      expect(await codeOf(logins.refresh(own.write(own.first(id, 'code'))))).toBe('invalid_refresh_token');
    }
    expect(logged).toMatchObject([1, 2].map(() => ({ level: 'warn', fields: { reason: 'unknown', generation: 1 } })));
    await expect(logins.get(loginId)).resolves.toMatchObject({ state: 'active' });
  });
});

describe('a token that is used again after its time', () => {
  async function reused() {
    const parts = await loggedIn();
    const { clock, logins, t1, logged, released } = parts;
    const { refresh_token: t2, access_token } = await logins.refresh(t1);
    await logins.refresh(t2);
    clock.advance(REUSE_MS);
    logged.length = 0;
    released.length = 0;
    return { ...parts, t2, access_token };
  }

  it('revokes nothing when its bearer has gone by now: the request may have lain somewhere all the time', async () => {
    const { logins, t1, t2, handle, notices } = await reused();
    const isGone = () => true;
    const credential = { kind: 'refresh_token', token: t1, isGone } as const;
    expect(await codeOf(logins.refresh(t1, isGone))).toBe('refresh_token_reused');
    expect(await codeOf(logins.ticket(credential, ''))).toBe('refresh_token_reused');
    await logins.logout(credential);
    expect(await notices()).toEqual([]);
    expect(await logins.login(handle)).toMatchObject({ rights: [] });
    await expect(logins.refresh(t2)).resolves.toMatchObject({ principal: 'alice' });
  });

  it.each(['refresh', 'ticket'] as const)('revokes its login when it is presented for a %s', async (verb) => {
    const { logins, t1, t2, access_token: token, handle, notices, released, logged, loginId } = await reused();
    const present = verb === 'refresh' ? logins.refresh(t1) : logins.ticket({ kind: 'refresh_token', token: t1 }, '');
    expect(await codeOf(present)).toBe('refresh_token_reused');
    expect(await notices()).toEqual([{ kind: 'login_ended', handle, reason: 'token_reuse' }]);
    expect(released).toEqual([handle]);
    expect(logged[0]).toEqual({
      level: 'warn',
      fields: { login: handle, generation: 1, current: 2, reason: 'reused' },
      message: 'refresh token refused',
    });
    expect(await codeOf(logins.refresh(t2))).toBe('login_ended');
    expect(await codeOf(logins.authenticate({ kind: 'bearer', token }))).toBe('login_ended');
    expect(await logins.login(handle)).toEqual({ ended: 'token_reuse' });
    const ends = (await logins.events(loginId)).filter((event) => (event as { kind: string }).kind === 'ended');
    expect(ends).toMatchObject([{ fields: { state: 'revoked', end_reason: 'token_reuse' } }]);
  });

  it('is honoured within the interval after the first use of its successor', async () => {
    const { clock, logins, t1 } = await loggedIn();
    const { refresh_token: t2 } = await logins.refresh(t1);
    clock.advance(10 * REUSE_MS);
    const { refresh_token: t3 } = await logins.refresh(t2);
    clock.advance(REUSE_MS - 1);
    expect((await logins.refresh(t1)).refresh_token).toBe(t2);
    expect((await logins.refresh(t2)).refresh_token).toBe(t3);
  });
});
