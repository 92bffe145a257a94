import { createPublicKey, createSecretKey, randomBytes } from 'node:crypto';
import { createLocalJWKSet, decodeJwt, decodeProtectedHeader, jwtVerify, SignJWT, UnsecuredJWT } from 'jose';
import { describe, expect, it } from 'vitest';
import { AccessTokens, parseSigningKeys, SigningKeys } from '../../src/login/access-token.js';
import { CredentialError } from '../../src/login/jwt.js';
import { secret } from './logins-harness.js';

const NOW = Date.UTC(2030, 0, 1) + 567;
const TTL = 300_000;
const CLAIMS = { principal: 'alice', loginId: 'login_1', rights: [{ sessions: 'doc:*', allow: ['own'] }] };
const seed = (id: string) => ({ id, seed: randomBytes(32) });
const OLD = seed('old');
const NEW = seed('new');
const ed = new AccessTokens(SigningKeys.ofSeeds([OLD]), 'issuer');
const SHARED = secret('old');
const hs = new AccessTokens(SigningKeys.ofSecrets([SHARED]), 'issuer');

async function refusal(work: Promise<unknown>): Promise<CredentialError> {
  const error: unknown = await work.catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(CredentialError);
  return error as CredentialError;
}

describe.each([
  ['EdDSA', ed],
  ['HS256', hs],
])('an access token under %s', (alg, tokens) => {
  it('is verified as issued', async () => {
    const { token, expiresAtMs } = await tokens.issue(CLAIMS, NOW, TTL);
    expect(expiresAtMs).toBe(Math.floor((NOW + TTL) / 1000) * 1000);
    expect(await tokens.verify(token, NOW)).toEqual({ ...CLAIMS, expiresAtMs });
    expect(tokens.recognises(token)).toBe(true);
  });

  it('has the header and claims of RFC 9068', async () => {
    const { token } = await tokens.issue(CLAIMS, NOW, TTL);
    const [issued, again] = [decodeJwt(token), decodeJwt((await tokens.issue(CLAIMS, NOW, TTL)).token)];
    expect(decodeProtectedHeader(token)).toEqual({ typ: 'at+jwt', alg, kid: 'old' });
    expect(issued).toMatchObject({ iss: 'issuer', aud: 'holdfast', sub: 'alice', login_id: 'login_1' });
    expect(issued).toMatchObject({ iat: Math.floor(NOW / 1000), rights: CLAIMS.rights });
    expect(issued.jti).not.toBe(again.jti);
  });

  it('ends', async () => {
    const { token, expiresAtMs } = await tokens.issue(CLAIMS, NOW, TTL);
    await expect(tokens.verify(token, expiresAtMs - 1)).resolves.toBeDefined();
    expect((await refusal(tokens.verify(token, expiresAtMs))).expired).toBe(true);
  });

  it.each(['', 'x', 'a.b.c', 'hfr1.a.b.1.c.d', 'x'.repeat(1_000_000)])('is not taken for one: no JWT', async (text) => {
    expect(tokens.recognises(text)).toBe(false);
    await refusal(tokens.verify(text, NOW));
  });
});

describe('verification refuses', () => {
  const header = { typ: 'at+jwt', alg: 'EdDSA', kid: 'old' };
  const claims = () => ({ iss: 'issuer', aud: 'holdfast', sub: 'alice', login_id: 'login_1', jti: '1', rights: [] });
  const times = { iat: Math.floor(NOW / 1000), exp: Math.floor(NOW / 1000) + 60 };
  const signed = (changes: object, payload: object = {}) =>
    new SignJWT({ ...claims(), ...times, ...payload })
      .setProtectedHeader({ ...header, ...changes })
      .sign(SigningKeys.ofSeeds([OLD]).first.key);

  it('nothing of a token that is right', async () => {
    await expect(ed.verify(await signed({}), NOW)).resolves.toMatchObject({ principal: 'alice' });
  });

  it.each([
    ['another type', { typ: 'JWT' }],
    ['no type', { typ: undefined }],
    ['an unknown key id', { kid: 'other' }],
    ['no key id', { kid: undefined }],
  ])('%s', async (_, changes) => {
    const token = await signed(changes);
    await refusal(ed.verify(token, NOW));
    expect(ed.recognises(token)).toBe(false);
  });

  it.each([
    ['another issuer', { iss: 'other' }],
    ['another audience', { aud: 'other' }],
    ['no subject', { sub: undefined }],
    ['no login', { login_id: undefined }],
    ['a login that is no text', { login_id: 7 }],
    ['no end', { exp: undefined }],
    ['no id', { jti: undefined }],
  ])('%s', async (_, payload) => {
    const token = await signed({}, payload);
    expect(ed.recognises(token)).toBe(true);
    await refusal(ed.verify(token, NOW));
  });

  it('`none`', async () => {
    const [, payload] = (await signed({})).split('.');
    const none = Buffer.from(JSON.stringify({ ...header, alg: 'none' })).toString('base64url');
    await refusal(ed.verify(`${none}.${payload}.`, NOW));
    await refusal(ed.verify(new UnsecuredJWT({ ...claims(), ...times }).encode(), NOW));
  });

  it('HS256 with the public key as its secret', async () => {
    const publicKey = createPublicKey(SigningKeys.ofSeeds([OLD]).first.key);
    const { x = '' } = publicKey.export({ format: 'jwk' });
    const secrets = [Buffer.from(x, 'base64url'), publicKey.export({ type: 'spki', format: 'pem' })];
    for (const key of secrets) {
      const forged = await new SignJWT({ ...claims(), ...times })
        .setProtectedHeader({ ...header, alg: 'HS256' })
        .sign(Buffer.from(key));
      await refusal(ed.verify(forged, NOW));
    }
  });

  it('EdDSA where keys are secrets, and HS256 where they are not', async () => {
    await refusal(hs.verify(await signed({}), NOW));
    await refusal(ed.verify((await hs.issue(CLAIMS, NOW, TTL)).token, NOW));
  });

  it('another algorithm under the right key', async () => {
    const { key } = SigningKeys.ofSecrets([SHARED]).first;
    const padded = createSecretKey(Buffer.concat([key.export(), Buffer.alloc(32)]));
    const token = await new SignJWT({ ...claims(), ...times })
      .setProtectedHeader({ ...header, alg: 'HS512' })
      .sign(padded);
    // HMAC pads a short key with zeros (RFC 2104 §2): this is the MAC under the key itself.
    await refusal(hs.verify(token, NOW));
  });

  it('an embedded key and a key from elsewhere', async () => {
    const own = SigningKeys.ofSeeds([NEW]);
    const [jwk] = own.jwks().keys;
    for (const from of [{ jwk }, { jku: 'https://example.org/jwks.json' }, { x5u: 'https://example.org/x5u' }]) {
      const forged = await new SignJWT({ ...claims(), ...times })
        .setProtectedHeader({ ...header, ...from } as typeof header)
        .sign(own.first.key);
      await refusal(ed.verify(forged, NOW));
    }
  });

  it('another key under the same id', async () => {
    const other = new AccessTokens(SigningKeys.ofSeeds([seed('old')]), 'issuer');
    await refusal(ed.verify((await other.issue(CLAIMS, NOW, TTL)).token, NOW));
    const otherSecret = new AccessTokens(SigningKeys.ofSecrets([secret('old')]), 'issuer');
    await refusal(hs.verify((await otherSecret.issue(CLAIMS, NOW, TTL)).token, NOW));
  });
});

describe('keys', () => {
  it('are replaced without refusing a token', async () => {
    const both = new AccessTokens(SigningKeys.ofSeeds([NEW, OLD]), 'issuer');
    const { token } = await both.issue(CLAIMS, NOW, TTL);
    expect(decodeProtectedHeader(token).kid).toBe('new');
    await expect(both.verify((await ed.issue(CLAIMS, NOW, TTL)).token, NOW)).resolves.toMatchObject(CLAIMS);
    await refusal(ed.verify(token, NOW));
  });

  it('are published so that any library verifies with them', async () => {
    const keys = SigningKeys.ofSeeds([NEW, OLD]);
    const published = createLocalJWKSet(keys.jwks());
    for (const tokens of [ed, new AccessTokens(keys, 'issuer')]) {
      const { token } = await tokens.issue(CLAIMS, Date.now(), TTL);
      const { payload } = await jwtVerify(token, published, { issuer: 'issuer', audience: 'holdfast', typ: 'at+jwt' });
      expect(payload.sub).toBe('alice');
    }
    const fields = keys.jwks().keys.map((key) => Object.keys(key).toSorted().join(' '));
    expect(fields).toEqual(['alg crv kid kty use x', 'alg crv kid kty use x']);
  });

  it('are not published when they are secrets', () => {
    expect(SigningKeys.ofSecrets([SHARED]).jwks()).toEqual({ keys: [] });
  });

  it('are not the secret itself', async () => {
    const { token } = await hs.issue(CLAIMS, Date.now(), TTL);
    await expect(jwtVerify(token, Buffer.from(SHARED.value))).rejects.toThrow('signature verification failed');
  });

  it('are at least one', () => {
    expect(() => SigningKeys.ofSeeds([])).toThrow(RangeError);
    expect(() => SigningKeys.ofSecrets([])).toThrow(RangeError);
  });

  it('are the Ed25519 keys of their seeds', () => {
    // RFC 8032 §7.1, test 1.
    const hex = '9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60';
    const text = `k:${Buffer.from(hex, 'hex').toString('base64url')}`;
    const [key] = SigningKeys.ofSeeds(parseSigningKeys(text)).jwks().keys;
    const expected = 'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a';
    expect(Buffer.from(key?.x ?? '', 'base64url').toString('hex')).toBe(expected);
  });
});

describe('signing keys as text', () => {
  const good = randomBytes(32).toString('base64url');

  it('are read in order', () => {
    const other = randomBytes(32).toString('base64url');
    const seeds = parseSigningKeys(` new:${good} , old:${other}`);
    expect(seeds.map(({ id, seed }) => [id, Buffer.from(seed).toString('base64url')])).toEqual([
      ['new', good],
      ['old', other],
    ]);
  });

  it.each([
    ['no key id', good],
    ['an empty entry', `a:${good},`],
    ['a seed that is too short', `a:${good.slice(2)}`],
    ['a seed that is too long', `a:${good}${good}`],
    ['a seed in another alphabet', `a:${'+/'.repeat(21)}+`],
    ['a key id twice', `a:${good},a:${good}`],
  ])('are refused without a word of them: %s', (_, text) => {
    const read = () => parseSigningKeys(text);
    expect(read).toThrow(TypeError);
    try {
      read();
    } catch (error) {
      for (const part of [good.slice(2, 12), '+/+/']) expect(String(error)).not.toContain(part);
    }
  });
});
