import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type JWK, SignJWT } from 'jose';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { CredentialError, createJwtVerifier, type JwtVerifier } from '../../src/login/jwt.js';
import { HoldfastError } from '../../src/protocol/errors.js';

interface Pair {
  kid: string;
  privateKey: KeyObject;
  jwk: JWK;
}

function pair(kid: string): Pair {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  return { kid, privateKey, jwk: { ...publicKey.export({ format: 'jwk' }), kid, alg: 'EdDSA', use: 'sig' } };
}

const FIRST = pair('first');
const SECOND = pair('second');

function sign({ kid, privateKey }: Pair, header: object = { kid }): Promise<string> {
  return new SignJWT({ sub: 'alice' })
    .setProtectedHeader({ alg: 'EdDSA', ...header })
    .setExpirationTime('1d')
    .sign(privateKey);
}

let requests = 0;
let published: object;
let answer: RequestListener;
const server = createServer((request, response) => {
  requests += 1;
  answer(request, response);
});
let jwt: JwtVerifier;

beforeEach(async () => {
  vi.useFakeTimers({ toFake: ['Date'] });
  requests = 0;
  published = { keys: [FIRST.jwk] };
  answer = (_, response) => response.end(JSON.stringify(published));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const jwksUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks`;
  jwt = createJwtVerifier({ jwksUrl, allowLoopbackHttp: true, clockToleranceMs: 0 });
});

afterEach(async () => {
  vi.useRealTimers();
  server.closeAllConnections();
  if (server.listening) {
    server.close();
    await once(server, 'close');
  }
});

function pass(ms: number): void {
  vi.setSystemTime(Date.now() + ms);
}

const refused = (token: string) => expect(jwt.verify(token)).rejects.toBeInstanceOf(CredentialError);
const accepted = (token: string) => expect(jwt.verify(token)).resolves.toMatchObject({ subject: 'alice' });

async function unavailable(token: string): Promise<HoldfastError> {
  const error: unknown = await jwt.verify(token).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(HoldfastError);
  const { code, status, retryAfterMs } = error as HoldfastError;
  expect([code, status]).toEqual(['store_unavailable', 503]);
  expect(retryAfterMs).toBeGreaterThan(0);
  return error as HoldfastError;
}

describe('published keys', () => {
  it('are fetched once for many tokens at once', async () => {
    const token = await sign(FIRST);
    await Promise.all(Array.from({ length: 50 }, () => accepted(token)));
    expect(requests).toBe(1);
  });

  it('are fetched again for an unknown key id, and not again within the cooldown', async () => {
    const rotated = await sign(SECOND);
    await accepted(await sign(FIRST));
    published = { keys: [SECOND.jwk, FIRST.jwk] };
    await refused(rotated);
    expect(requests).toBe(1);

    pass(30_000);
    await Promise.all(Array.from({ length: 20 }, () => accepted(rotated)));
    await accepted(await sign(FIRST));
    expect(requests).toBe(2);
    for (let id = 0; id < 20; id += 1) await refused(await sign(FIRST, { kid: `made-up-${id}` }));
    expect(requests).toBe(2);
    pass(30_000);
    for (let id = 0; id < 20; id += 1) await refused(await sign(FIRST, { kid: `made-up-${id}` }));
    expect(requests).toBe(3);
  });

  it('that are withdrawn count no longer after the next fetch', async () => {
    const token = await sign(FIRST);
    await accepted(token);
    published = { keys: [SECOND.jwk] };
    pass(600_000);
    await accepted(token);
    await vi.waitFor(() => refused(token));
    expect(requests).toBe(2);
  });

  it('may leave a token without a key id to a choice', async () => {
    published = { keys: [FIRST.jwk, SECOND.jwk] };
    await accepted(await sign(SECOND, {}));
    await refused(await sign(pair('third'), {}));
  });

  it('verify with their own algorithms alone', async () => {
    const secret = new TextEncoder().encode(JSON.stringify(FIRST.jwk));
    const forged = new SignJWT({ sub: 'alice' }).setProtectedHeader({ alg: 'HS256', kid: 'first' });
    await refused(await forged.setExpirationTime('1d').sign(secret));
    published = { keys: [{ kty: 'oct', kid: 'first', k: Buffer.from(secret).toString('base64url') }] };
    await refused(await forged.sign(secret));
    expect(requests).toBe(0);
  });

  it('for encryption do not verify', async () => {
    published = { keys: [{ ...FIRST.jwk, use: 'enc' }] };
    await refused(await sign(FIRST));
  });
});

describe('keys that cannot be fetched', () => {
  it.each<[string, RequestListener]>([
    ['an error', (_, response) => response.writeHead(500).end('{"keys":[]}')],
    ['a redirect', (_, response) => response.writeHead(302, { location: '/other' }).end()],
    ['no JSON', (_, response) => response.end('<html>')],
    ['no key set', (_, response) => response.end('{"keys":{}}')],
    ['no end', (_, response) => response.write('{"keys":[')],
    ['a megabyte', (_, response) => response.end(JSON.stringify({ keys: [], pad: 'x'.repeat(1_000_000) }))],
    ['a reset', (request) => request.socket.destroy()],
  ])('for %s refuse nobody', async (_, listener) => {
    answer = listener;
    const error = await unavailable(await sign(FIRST));
    expect(error.message).not.toContain('127.0.0.1');
  });

  it('are asked for again after a moment, by one request at a time', async () => {
    const token = await sign(FIRST);
    answer = (_, response) => response.writeHead(503).end();
    await Promise.all(Array.from({ length: 20 }, () => unavailable(token)));
    expect(requests).toBe(1);
    await unavailable(token);
    expect(requests).toBe(1);
    pass(2_000);
    await unavailable(token);
    expect(requests).toBe(2);
    answer = (_, response) => response.end(JSON.stringify(published));
    pass(2_000);
    await accepted(token);
    expect(requests).toBe(3);
  });

  it('serve on for an hour, while new ones cannot be told from made-up ones', async () => {
    const token = await sign(FIRST);
    await accepted(token);
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
    pass(3_599_000);
    await accepted(token);
    await unavailable(await sign(SECOND));
    await accepted(token);
    pass(3_000);
    await unavailable(token);
  });
});
