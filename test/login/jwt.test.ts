import { generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto';
import { SignJWT, UnsecuredJWT } from 'jose';
import { describe, expect, it } from 'vitest';
import { CredentialError, createJwtVerifier, type JwtOptions, type JwtRules } from '../../src/login/jwt.js';

const SECRET = randomBytes(64);
const nowS = () => Math.floor(Date.now() / 1000);

type Key = Uint8Array | KeyObject;

/** Extra members of the header come as `header`. */
function sign(claims: object, key: Key = SECRET, alg = 'HS256', header: object = {}): Promise<string> {
  return new SignJWT({ sub: 'alice', exp: nowS() + 60, ...claims }).setProtectedHeader({ alg, ...header }).sign(key);
}

function verifier(rules: Partial<JwtRules> = {}, secrets: Uint8Array[] = [SECRET]) {
  return createJwtVerifier({ secrets, clockToleranceMs: 5_000, ...rules });
}

async function refusal(token: string, jwt = verifier()): Promise<CredentialError> {
  const error: unknown = await jwt.verify(token).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(CredentialError);
  return error as CredentialError;
}

const pemOf = (key: KeyObject) => key.export({ type: 'spki', format: 'pem' }).toString();

const RSA = generateKeyPairSync('rsa', { modulusLength: 2_048 });
const P256 = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const P384 = generateKeyPairSync('ec', { namedCurve: 'P-384' });
const P521 = generateKeyPairSync('ec', { namedCurve: 'P-521' });
const ED25519 = generateKeyPairSync('ed25519');
const ALL_PEM = [RSA, P256, P384, P521, ED25519].map(({ publicKey }) => pemOf(publicKey)).join('');

function publicVerifier(publicKeys = ALL_PEM, rules: Partial<JwtRules> = {}) {
  return createJwtVerifier({ publicKeys, clockToleranceMs: 0, ...rules });
}

describe('an accepted JWT', () => {
  it('gives principal, start, end and rights', async () => {
    const exp = nowS() + 60;
    const rights = [{ sessions: '*', allow: ['watch'] }];
    const verified = await verifier().verify(await sign({ iat: exp - 90.5, exp, rights }));
    expect(verified).toEqual({
      subject: 'alice',
      issuedAtMs: exp * 1000 - 90_500,
      expiresAtMs: exp * 1000 + 5_000,
      rights,
    });
    expect((await verifier().verify(await sign({}))).issuedAtMs).toBe(0);
  });

  it('may be signed with any of the secrets', async () => {
    const next = randomBytes(32);
    const verified = await verifier({}, [next, SECRET]).verify(await sign({}));
    expect(verified.subject).toBe('alice');
  });

  it('may have run out within the clock tolerance', async () => {
    await expect(verifier().verify(await sign({ exp: nowS() - 3 }))).resolves.toMatchObject({ subject: 'alice' });
  });

  it('names the required issuer and audience', async () => {
    const strict = verifier({ issuer: 'app', audience: 'holdfast' });
    await expect(strict.verify(await sign({ iss: 'app', aud: 'holdfast' }))).resolves.toMatchObject({
      subject: 'alice',
    });
    await refusal(await sign({ iss: 'app' }), strict);
    await refusal(await sign({ iss: 'other', aud: 'holdfast' }), strict);
  });

  it.each(['HS256', 'HS384', 'HS512'])('may be signed with %s by a secret that is long enough', async (alg) => {
    await expect(verifier().verify(await sign({}, SECRET, alg))).resolves.toBeDefined();
    const short = SECRET.subarray(0, 63 - 16 * (alg === 'HS384' ? 1 : 0));
    if (alg !== 'HS256') await refusal(await sign({}, short, alg), verifier({}, [short]));
  });

  it.each([
    ['RS256', RSA],
    ['RS512', RSA],
    ['PS256', RSA],
    ['PS384', RSA],
    ['ES256', P256],
    ['ES384', P384],
    ['ES512', P521],
    ['EdDSA', ED25519],
    ['Ed25519', ED25519],
  ])('may be signed with %s by one of several key pairs', async (alg, { privateKey }) => {
    const token = await sign({}, privateKey, alg);
    await expect(publicVerifier().verify(token)).resolves.toMatchObject({ subject: 'alice' });
    const inOneLine = ALL_PEM.replaceAll('\n', '\\n');
    await expect(publicVerifier(inOneLine).verify(token)).resolves.toMatchObject({ subject: 'alice' });
  });

  it.each([undefined, 'JWT', 'jwt', 'application/jwt'])('is of type %s when none is asked for', async (typ) => {
    await expect(verifier().verify(await sign({}, SECRET, 'HS256', { typ }))).resolves.toBeDefined();
  });
});

describe('a refused JWT', () => {
  it('is expired only if its signature is right', async () => {
    expect((await refusal(await sign({ exp: nowS() - 60 }))).expired).toBe(true);
    expect((await refusal(await sign({ exp: nowS() - 60 }, randomBytes(32)))).expired).toBe(false);
  });

  it.each([
    ['no subject', { sub: undefined }],
    ['no end', { exp: undefined }],
    ['an empty subject', { sub: '' }],
    ['a padded subject', { sub: ' alice' }],
    ['the subject of an anonymous connection', { sub: 'anon:1' }],
    ['a long subject', { sub: 'x'.repeat(257) }],
    ['a subject that is no text', { sub: ['alice'] }],
    ['an end out of range', { exp: 1e300 }],
    ['an end that is no number', { exp: '9999999999' }],
    ['a start out of range', { iat: -1 }],
    ['a start that is no number', { iat: 'now' }],
    ['a start in the future', { nbf: nowS() + 600 }],
  ])('has %s', async (_, claims) => {
    expect((await refusal(await sign(claims))).expired).toBe(false);
  });

  it.each(['', 'x', 'a.b.c', 'e30.e30.e30', `${'x'.repeat(9000)}.y.z`, '.'.repeat(1_000_000)])(
    'is no JWT: %.20s',
    async (token) => {
      const { message } = await refusal(token);
      if (token.length > 3) expect(message).not.toContain(token);
    },
  );

  it('is longer than 8 KiB, however genuine', async () => {
    await expect(verifier().verify(await sign({ pad: 'x'.repeat(5_000) }))).resolves.toBeDefined();
    expect((await refusal(await sign({ pad: 'x'.repeat(8_192) }))).message).toBe('too long');
  });

  it('is of a type that is not asked for', async () => {
    const typed = (typ?: unknown) => sign({}, SECRET, 'HS256', { typ });
    for (const typ of ['at+jwt', 'dpop+jwt', 'logout+jwt', '', 5, ['JWT']]) await refusal(await typed(typ));
    const accessTokens = verifier({ type: 'at+jwt' });
    await expect(accessTokens.verify(await typed('at+jwt'))).resolves.toBeDefined();
    await expect(accessTokens.verify(await typed('application/AT+JWT'))).resolves.toBeDefined();
    for (const typ of [undefined, 'JWT', 'at+jwt2']) await refusal(await typed(typ), accessTokens);
  });

  it('is signed with an algorithm that is not allowed', async () => {
    await refusal(await sign({}, SECRET, 'HS512'), verifier({ algorithms: ['HS256', 'HS384'] }));
    const token = await sign({}, RSA.privateKey, 'RS256');
    await refusal(token, publicVerifier(ALL_PEM, { algorithms: ['PS256', 'ES256'] }));
    await refusal(await sign({}, P384.privateKey, 'ES384'), publicVerifier(pemOf(P256.publicKey)));
  });
});

describe('an attack', () => {
  it('without a signature fails', async () => {
    const unsigned = new UnsecuredJWT({ sub: 'alice', exp: nowS() + 60 }).encode();
    await refusal(unsigned);
    await refusal(unsigned, publicVerifier());
    const [, payload] = (await sign({})).split('.');
    for (const alg of ['none', 'None', 'NONE', '']) {
      const header = Buffer.from(JSON.stringify({ alg })).toString('base64url');
      await refusal(`${header}.${payload}.`);
      await refusal(`${header}.${payload}.`, publicVerifier());
    }
  });

  it('that takes the public key for the secret of an HMAC fails', async () => {
    for (const text of [ALL_PEM, ALL_PEM.trim(), pemOf(RSA.publicKey), pemOf(RSA.publicKey).trim()]) {
      for (const alg of ['HS256', 'HS512']) {
        expect((await refusal(await sign({}, Buffer.from(text), alg), publicVerifier())).message).toContain('no key');
      }
    }
  });

  it('with another signature, claim or key fails', async () => {
    const [header, , signature] = (await sign({})).split('.');
    const [, claims] = (await sign({ sub: 'bob' })).split('.');
    await refusal(`${header}.${claims}.${signature}`);
    const other = generateKeyPairSync('ed25519').privateKey;
    await refusal(await sign({}, other, 'EdDSA'), publicVerifier());
    await refusal(await sign({}, randomBytes(64)));
  });

  it.each(['jku', 'jwk', 'x5u', 'x5c', 'crit'])('that brings %s in the header fails, however genuine', async (name) => {
    const jwk = ED25519.publicKey.export({ format: 'jwk' });
    const values: Record<string, unknown> = { jwk, x5c: ['AA=='], crit: ['b64'], jku: 'https://evil.example/jwks' };
    const parts = (await sign({}, ED25519.privateKey, 'EdDSA')).split('.');
    const header = { alg: 'EdDSA', b64: true, [name]: values[name] ?? 'https://evil.example/x5u' };
    parts[0] = Buffer.from(JSON.stringify(header)).toString('base64url');
    const signed = await refusal(parts.join('.'), publicVerifier());
    expect(signed.message).toBe(`the header has ${name}`);
    if (name === 'crit') return;
    const genuine = await sign({}, ED25519.privateKey, 'EdDSA', { [name]: header[name as keyof typeof header] });
    expect((await refusal(genuine, publicVerifier())).message).toBe(`the header has ${name}`);
  });
});

describe('keys and algorithms that are refused at the start', () => {
  const rsa1024 = pemOf(generateKeyPairSync('rsa', { modulusLength: 1_024 }).publicKey);
  const ed448 = pemOf(generateKeyPairSync('ed448').publicKey);
  const secp256k1 = pemOf(generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).publicKey);
  const privatePem = RSA.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  const rules = { clockToleranceMs: 0 };

  it.each<[string, JwtOptions, string]>([
    ['no secret', { ...rules, secrets: [] }, 'required'],
    ['a short secret', { ...rules, secrets: [randomBytes(31)] }, '32 bytes'],
    ['a PEM as a secret', { ...rules, secrets: [Buffer.from(ALL_PEM)] }, 'a PEM is no JWT secret'],
    ['text', { ...rules, publicKeys: 'x' }, 'not a PEM'],
    ['nothing', { ...rules, publicKeys: '' }, 'not a PEM'],
    ['text after a PEM', { ...rules, publicKeys: `${ALL_PEM}x` }, 'not a PEM'],
    ['a private key', { ...rules, publicKeys: privatePem }, 'PRIVATE KEY is not PUBLIC KEY'],
    ['a broken key', { ...rules, publicKeys: ALL_PEM.replace('\nMII', '\nMIIA') }, 'cannot be read'],
    ['many keys', { ...rules, publicKeys: ALL_PEM.repeat(4) }, 'more than 16'],
    ['RSA of 1024 bits', { ...rules, publicKeys: rsa1024 }, 'less than 2048 bits'],
    ['Ed448', { ...rules, publicKeys: ed448 }, 'none of RSA, EC'],
    ['another curve', { ...rules, publicKeys: secp256k1 }, 'none of RSA, EC'],
    ['an HMAC for a key pair', { ...rules, publicKeys: ALL_PEM, algorithms: ['HS256'] }, 'HS256'],
    ['a signature for a secret', { ...rules, secrets: [SECRET], algorithms: ['RS256'] }, 'RS256'],
    ['an HMAC longer than the secret', { ...rules, secrets: [randomBytes(63)], algorithms: ['HS512'] }, 'HS512'],
    [
      'an HMAC for published keys',
      { ...rules, jwksUrl: 'https://a.example', allowLoopbackHttp: false, algorithms: ['HS256'] },
      'HS256',
    ],
    ['keys over http', { ...rules, jwksUrl: 'http://127.0.0.1/', allowLoopbackHttp: false }, 'not https'],
    ['keys over http elsewhere', { ...rules, jwksUrl: 'http://a.example/', allowLoopbackHttp: true }, 'not https'],
    ['a file', { ...rules, jwksUrl: 'file:///etc/passwd', allowLoopbackHttp: true }, 'not https'],
    ['a password', { ...rules, jwksUrl: 'https://a:b@a.example/', allowLoopbackHttp: false }, 'password'],
  ])('%s', (_, options, reason) => {
    expect(() => createJwtVerifier(options)).toThrow(reason);
  });
});
