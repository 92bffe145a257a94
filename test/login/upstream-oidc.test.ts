import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { calculateJwkThumbprint, type JWK } from 'jose';
import { type Configuration, Provider } from 'oidc-provider';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Upstream } from '../../src/login/upstream.js';
import { newDpopKey, type UpstreamProvider } from '../../src/login/upstream-request.js';
import { createLogin } from '../support/create-login.js';
import { KeptLog, memoryParts, providerAt, upstreamOf } from './upstream-harness.js';

const SCOPE = 'openid offline_access';

const grant_types = ['authorization_code', 'refresh_token'];
const redirect_uris = ['https://app.example/cb'];

const configuration: Configuration = {
  clients: [
    { client_id: 'confidential', client_secret: 'client-secret', redirect_uris, grant_types },
    {
      client_id: 'public',
      token_endpoint_auth_method: 'none',
      redirect_uris,
      grant_types,
      dpop_bound_access_tokens: true,
    },
  ],
  ttl: { AccessToken: 3_600, Grant: 86_400, IdToken: 3_600, RefreshToken: 86_400 },
  features: {
    devInteractions: { enabled: false },
    dPoP: { enabled: true, nonceSecret: Buffer.alloc(32, 1), requireNonce: () => true },
  },
  rotateRefreshToken: true,
  cookies: { keys: ['test'] },
  findAccount: (_context, sub) => ({ accountId: sub, claims: () => ({ sub }) }),
};

let server: Server;
let provider: Provider;
let tokenUrl: string;
let statuses: number[];
let parts: ReturnType<typeof memoryParts>;

beforeEach(async () => {
  server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  provider = new Provider(issuer, configuration);
  statuses = [];
  const handle = provider.callback();
  server.on('request', (request, response) => {
    response.once('finish', () => statuses.push(response.statusCode));
    void handle(request, response);
  });
  tokenUrl = `${issuer}/token`;
  parts = memoryParts();
});
afterEach(() => {
  server.closeAllConnections();
  server.close();
});

/** A refresh token as the provider gives it at the end of a login. */
async function issue(clientId: string, jkt?: string): Promise<string> {
  const client = await provider.Client.find(clientId);
  if (client === undefined) throw new Error('no such client');
  const grant = new provider.Grant({ accountId: 'alice', clientId });
  grant.addOIDCScope(SCOPE);
  const grantId = await grant.save();
  const claims = { accountId: 'alice', client, grantId, gty: 'authorization_code', scope: SCOPE };
  const token = new provider.RefreshToken(claims);
  if (jkt !== undefined) token.jkt = jkt;
  return token.save();
}

async function granted(
  settings: Partial<UpstreamProvider>,
  refresh_token: string,
  dpop_key?: JWK,
): Promise<{ upstream: Upstream; handle: string; log: KeptLog }> {
  const idp = providerAt(tokenUrl, { freshMs: 0, timeoutMs: 5_000, ...settings });
  const log = new KeptLog();
  const upstream = upstreamOf({ ...parts, providers: { oidc: idp }, log });
  const handle = await createLogin(parts.logins);
  await upstream.put(handle, { refresh_token, ...(dpop_key && { dpop_key }) });
  return { upstream, handle, log };
}

test('refresh tokens rotate at a real provider, which revokes a grant at the first replay', async () => {
  const refreshToken = await issue('confidential');
  const settings = { clientId: 'confidential', clientAuth: 'basic', clientSecret: 'client-secret' } as const;
  const { upstream, handle } = await granted(settings, refreshToken);
  const seen = new Set<string>();
  for (let i = 0; i < 5; i += 1) {
    const tokens = await Promise.all(Array.from({ length: 10 }, () => upstream.token(handle)));
    seen.add(tokens[0]?.access_token ?? '');
    expect(tokens[0]).toMatchObject({ token_type: 'Bearer', scope: SCOPE });
  }
  expect(seen.size).toBe(5);
  expect(statuses).toEqual([200, 200, 200, 200, 200]);
  const replayed = await granted(settings, refreshToken);
  await expect(replayed.upstream.token(replayed.handle)).rejects.toMatchObject({ code: 'upstream_reauth_required' });
  await expect(upstream.token(handle)).rejects.toMatchObject({ code: 'upstream_reauth_required' });
  expect(parts.logins.isActive(handle)).toBe(true);
});

test('a wrong client secret costs no grant', async () => {
  const refreshToken = await issue('confidential');
  const settings = { clientId: 'confidential', clientAuth: 'basic' } as const;
  const { upstream, handle } = await granted({ ...settings, clientSecret: 'wrong' }, refreshToken);
  await expect(upstream.token(handle)).rejects.toMatchObject({ code: 'upstream_misconfigured' });
  const idp = providerAt(tokenUrl, { ...settings, clientSecret: 'client-secret' });
  expect(await upstreamOf({ ...parts, providers: { oidc: idp } }).token(handle)).toMatchObject({ scope: SCOPE });
});

test('tokens bound to a key by DPoP are refreshed with it, at once when a nonce is asked for', async () => {
  const dpopKey = await newDpopKey();
  const refreshToken = await issue('public', await calculateJwkThumbprint(dpopKey));
  const { upstream, handle, log } = await granted({ clientId: 'public', dpop: true }, refreshToken, dpopKey);
  expect(await upstream.token(handle)).toMatchObject({ token_type: 'DPoP', scope: SCOPE });
  expect(await upstream.token(handle)).toMatchObject({ token_type: 'DPoP' });
  expect(statuses).toEqual([400, 200, 400, 200]);
  const shown = [(await parts.grants.read(handle)).grant, await parts.logins.events(handle), log.lines];
  expect(JSON.stringify(shown)).not.toContain(dpopKey.d);
});

test('tokens bound to another key are refused', async () => {
  const refreshToken = await issue('public', await calculateJwkThumbprint(await newDpopKey()));
  const { upstream, handle } = await granted({ clientId: 'public', dpop: true }, refreshToken);
  await expect(upstream.token(handle)).rejects.toMatchObject({ code: 'upstream_reauth_required' });
});
