import { describe, expect, it } from 'vitest';
import type { CreateLoginRequest } from '../../src/login/api.js';
import { loginHandle } from '../../src/login/handles.js';
import type { LoginUpstream } from '../../src/login/options.js';
import type { CreatedLogin } from '../../src/protocol/http.js';
import { ACCESS_MS, codeOf, deployment, IDLE_MS, MAX_MS, REUSE_MS, secret } from './logins-harness.js';

const ORIGIN = 'https://app.example';
const CHOSEN = 'the-application.chose_this~id-itself';
const RIGHTS = [{ sessions: 'doc:*', allow: ['own'] }];

describe('a new login', () => {
  it('is answered with its tokens and shown as it was asked for', async () => {
    const { clock, node } = deployment();
    const logins = node();
    const attributes = { name: 'Älice', deep: { a: [1] } };
    const created = await logins.create({ principal: 'alice', attributes, rights: RIGHTS });
    const nowMs = clock.wallMs();
    expect(created).toMatchObject({ principal: 'alice', expires_at: nowMs + ACCESS_MS });
    expect(created.login_id).toMatch(/^login_[\w-]{43}$/);
    expect(created.login_code).toMatch(/^hfc_[\w-]{43}$/);
    expect(created.max_expires_at).toBe(nowMs + MAX_MS);
    expect(await logins.get(created.login_id)).toEqual({
      login_id: created.login_id,
      principal: 'alice',
      attributes,
      rights: RIGHTS,
      created_at: nowMs,
      last_seen_at: nowMs,
      expires_at: nowMs + IDLE_MS,
      max_expires_at: nowMs + MAX_MS,
      state: 'active',
    });
  });

  it.each<[string, Partial<CreateLoginRequest>]>([
    ['principal', { principal: '' }],
    ['principal', { principal: ' alice' }],
    ['principal', { principal: 'x'.repeat(257) }],
    ['principal', { principal: 'anon:1' }],
    ['principal', { principal: 'half \ud800' }],
    ['login_id', { login_id: 'short' }],
    ['login_id', { login_id: 'x'.repeat(129) }],
    ['login_id', { login_id: `${'x'.repeat(40)}/` }],
    ['attributes', { attributes: { text: 'ä'.repeat(2048) } }],
    ['expires_at', { expires_at: 0 }],
    ['expires_at', { expires_at: 1.5 }],
    ['expires_at', { expires_at: Date.UTC(2020, 0, 1) }],
    ['upstream', { upstream: { refresh_token: 'r' } }],
  ])('is refused for its %s', async (field, changes) => {
    const { node } = deployment();
    expect(await codeOf(node().create({ principal: 'alice', ...changes }))).toBe(`invalid_field ${field}`);
  });

  it('ends when the application said so', async () => {
    const { clock, node } = deployment();
    const logins = node();
    const { login_id } = await logins.create({ principal: 'alice', expires_at: clock.wallMs() + 5_000 });
    clock.advance(5_000);
    expect(await codeOf(logins.get(login_id))).toBe('not_found');
  });

  it('is one of a bounded number', async () => {
    const { node } = deployment();
    const logins = node();
    for (let i = 0; i < 3; i += 1) await logins.create({ principal: 'alice' });
    expect(await codeOf(logins.create({ principal: 'alice' }))).toBe('too_many_logins');
  });
});

describe('an id that the application chose', () => {
  it('is taken by one of two concurrent creations', async () => {
    const { node } = deployment();
    const create = () => node().create({ principal: 'alice', login_id: CHOSEN });
    const results = await Promise.allSettled([create(), create()]);
    expect(results.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected']);
    expect(await codeOf(create())).toBe('login_exists');
  });

  it('is taken for ever', async () => {
    const { clock, node } = deployment();
    const logins = node();
    await logins.create({ principal: 'alice', login_id: CHOSEN });
    clock.advance(100 * MAX_MS);
    expect(await codeOf(logins.create({ principal: 'alice', login_id: CHOSEN }))).toBe('login_exists');
  });
});

describe('an Idempotency-Key', () => {
  const request = { principal: 'alice', attributes: { a: 1, b: 2 }, idempotencyKey: 'key-1' };
  const comparable = (created: CreatedLogin) => ({ ...created, access_token: '' });

  it('makes one login of many requests, on any node', async () => {
    const { node } = deployment();
    const answers = await Promise.all([1, 2, 3].map(() => node().create(request)));
    const reordered = await node().create({ ...request, attributes: { b: 2, a: 1 } });
    expect(new Set([...answers, reordered].map((answer) => JSON.stringify(comparable(answer)))).size).toBe(1);
    expect(await node().list('alice')).toHaveLength(1);
  });

  it('makes one login also while secrets are replaced', async () => {
    const { node, secrets } = deployment();
    const next = secret('b');
    const before = node({ secrets: [...secrets, next] });
    const after = node({ secrets: [next, ...secrets] });
    const [first, second] = [await before.create(request), await after.create(request)];
    expect(second).toMatchObject({ login_id: first.login_id, login_code: first.login_code });
    await expect(after.refresh(second.refresh_token)).resolves.toMatchObject({ login_id: first.login_id });
  });

  it('is refused to another request, and to the same one once the login is over', async () => {
    const { node } = deployment();
    const logins = node();
    const { login_id } = await logins.create(request);
    for (const changes of [{ principal: 'bob' }, { attributes: { a: 2 } }, { rights: RIGHTS }, { origin: ORIGIN }]) {
      expect(await codeOf(logins.create({ ...request, ...changes }))).toBe('idempotency_conflict');
    }
    await logins.revoke(login_id);
    expect(await codeOf(logins.create(request))).toBe('login_exists');
  });

  it('makes another login once the first one is forgotten, whose tokens stay void', async () => {
    const { clock, node } = deployment();
    const logins = node();
    const first = await logins.create(request);
    clock.advance(IDLE_MS / 2 - 1);
    expect((await logins.create(request)).login_id).toBe(first.login_id);
    await logins.revoke(first.login_id);
    clock.advance(IDLE_MS + 1);
    const second = await logins.create(request);
    expect(second.login_id).not.toBe(first.login_id);
    expect(await codeOf(logins.refresh(first.refresh_token))).toBe('invalid_refresh_token');
  });

  it('belongs to a login of its own each', async () => {
    const { node } = deployment();
    const [a, b] = [await node().create(request), await node().create({ ...request, idempotencyKey: 'key-2' })];
    expect(a.login_id).not.toBe(b.login_id);
  });

  it('gives no second code once the login was refreshed', async () => {
    const { clock, node, seen } = deployment();
    const logins = node();
    const { refresh_token, login_code } = await logins.create(request);
    clock.advance(REUSE_MS);
    await logins.refresh(refresh_token);
    seen.length = 0;
    await logins.create(request);
    expect(JSON.stringify(seen)).not.toContain('"code"');
    expect(await codeOf(logins.exchange(login_code, ORIGIN))).toBe('invalid_login_code');
  });
});

describe('a login code', () => {
  it('is exchanged once, for the same refresh token on any node', async () => {
    const { node, secrets } = deployment();
    const created = await node().create({ principal: 'alice' });
    const elsewhere = node({ secrets: [secret('b'), ...secrets] });
    const exchanged = await elsewhere.exchange(created.login_code, ORIGIN);
    expect(exchanged).toMatchObject({ login_id: created.login_id, principal: 'alice' });
    expect(exchanged.refresh_token.split('.')[4]).toBe(created.refresh_token.split('.')[4]);
    await expect(elsewhere.refresh(exchanged.refresh_token)).resolves.toBeDefined();
    expect(await codeOf(elsewhere.exchange(created.login_code, ORIGIN))).toBe('invalid_login_code');
  });

  it('is exchanged by one of many callers', async () => {
    const { node } = deployment();
    const { login_code } = await node().create({ principal: 'alice' });
    const results = await Promise.allSettled(Array.from({ length: 20 }, () => node().exchange(login_code, ORIGIN)));
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  });

  it.each([
    ['of the page it was made for', ORIGIN, true],
    ['of another page', 'https://app.example:444', false],
    ['of no page', undefined, false],
  ])('with an Origin takes the exchange %s', async (_, origin, accepted) => {
    const { node } = deployment();
    const logins = node();
    const { login_code } = await logins.create({ principal: 'alice', origin: ORIGIN });
    const exchange = logins.exchange(login_code, origin);
    if (accepted) await expect(exchange).resolves.toBeDefined();
    else expect(await codeOf(exchange)).toBe('invalid_login_code');
    expect(await codeOf(logins.exchange(login_code, ORIGIN))).toBe('invalid_login_code');
  });

  it.each(['', 'hfc_', 'x'.repeat(1_000_000), `hft_${'x'.repeat(43)}`, `hfc_${'x'.repeat(43)}`])(
    'is refused when it is none',
    async (code) => expect(await codeOf(deployment().node().exchange(code, ORIGIN))).toBe('invalid_login_code'),
  );

  it('ends with its time and with its login', async () => {
    const { clock, node } = deployment();
    const logins = node();
    const [late, revoked] = [await logins.create({ principal: 'alice' }), await logins.create({ principal: 'alice' })];
    await logins.revoke(revoked.login_id);
    expect(await codeOf(logins.exchange(revoked.login_code, ORIGIN))).toBe('invalid_login_code');
    clock.advance(60_000);
    expect(await codeOf(logins.exchange(late.login_code, ORIGIN))).toBe('invalid_login_code');
  });
});

describe('an upstream grant given at creation', () => {
  const request = { principal: 'alice', upstream: { provider: 'p', refresh_token: 'r' } };

  function withUpstream(fails = false) {
    const parts = deployment();
    const puts: string[] = [];
    const upstream: LoginUpstream = {
      put: async (handle) => {
        if (fails) throw new TypeError('refused');
        puts.push(handle);
        await parts.note(handle);
      },
      token: async () => ({ access_token: 'at', token_type: 'Bearer', expose: false }),
    };
    return { ...parts, puts, logins: parts.node({ upstream }) };
  }

  it('is stored, and not stored again by a repeated request', async () => {
    const { logins, puts } = withUpstream();
    const { login_id } = await logins.create({ ...request, idempotencyKey: 'k' });
    await logins.create({ ...request, idempotencyKey: 'k' });
    expect(puts).toEqual([loginHandle(login_id)]);
    expect(await logins.upstreamTokenOf(login_id)).toMatchObject({ access_token: 'at' });
  });

  it('that is refused leaves no login that nobody knows of', async () => {
    const { logins } = withUpstream(true);
    await expect(logins.create(request)).rejects.toThrow('refused');
    expect(await logins.list('alice')).toEqual([]);
  });
});
