import { randomBytes } from 'node:crypto';
import { SignJWT, UnsecuredJWT } from 'jose';
import { describe, expect, it } from 'vitest';
import { CredentialError, createJwtVerifier } from '../../src/login/jwt.js';

const SECRET = randomBytes(32);
const nowS = () => Math.floor(Date.now() / 1000);

function sign(claims: Record<string, unknown>, secret: Uint8Array = SECRET, alg = 'HS256'): Promise<string> {
  return new SignJWT({ sub: 'alice', exp: nowS() + 60, ...claims }).setProtectedHeader({ alg }).sign(secret);
}

function verifier(extra: { issuer?: string; audience?: string } = {}, secrets = [SECRET]) {
  return createJwtVerifier({ secrets, clockToleranceMs: 5_000, ...extra });
}

async function refusal(token: string, jwt = verifier()): Promise<CredentialError> {
  const error: unknown = await jwt.verify(token).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(CredentialError);
  return error as CredentialError;
}

describe('an accepted JWT', () => {
  it('gives principal, end and rights', async () => {
    const exp = nowS() + 60;
    const rights = [{ sessions: '*', allow: ['watch'] }];
    const verified = await verifier().verify(await sign({ exp, rights }));
    expect(verified).toEqual({ subject: 'alice', expiresAtMs: exp * 1000 + 5_000, rights });
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
    ['a long subject', { sub: 'x'.repeat(257) }],
    ['an end out of range', { exp: 1e300 }],
    ['a start in the future', { nbf: nowS() + 600 }],
  ])('has %s', async (_, claims) => {
    expect((await refusal(await sign(claims))).expired).toBe(false);
  });

  it('uses another algorithm, or none', async () => {
    await refusal(await sign({}, randomBytes(64), 'HS512'));
    await refusal(new UnsecuredJWT({ sub: 'alice', exp: nowS() + 60 }).encode());
  });

  it.each(['', 'x', 'a.b.c', 'e30.e30.e30', `${'x'.repeat(9000)}.y.z`])('is no JWT: %.20s', async (token) => {
    const { message } = await refusal(token);
    if (token.length > 3) expect(message).not.toContain(token);
  });
});

it('asks for secrets of 32 bytes', () => {
  expect(() => verifier({}, [])).toThrow(RangeError);
  expect(() => verifier({}, [randomBytes(31)])).toThrow('32 bytes');
});
