/**
 * An application whose people log in at an OAuth provider. The gateway keeps the provider's refresh token and is alone
 * in using it. The page talks to the gateway's `/v1/auth` through this server, as it must where the two are on
 * different sites. `npx tsx examples/oauth-provider/server.ts`; docs/login.md explains each step.
 */
import { once } from 'node:events';
import { join, resolve } from 'node:path';
import express, { type ErrorRequestHandler, type Request, type Response } from 'express';
import { authProxy, createBackend, HoldfastError } from 'holdfast/server';
import * as oauth from 'oauth4webapi';
import { CLIENT, startProvider } from './provider.js';

const { GATEWAY_URL = 'http://127.0.0.1:8080', HOLDFAST_API_KEY = '' } = process.env;
const { PORT = '3000', PROVIDER_PORT = '3001' } = process.env;
const SELF = `http://127.0.0.1:${PORT}`;
const ISSUER = `http://127.0.0.1:${PROVIDER_PORT}`;
const REDIRECT_URI = `${SELF}/callback`;
const CLIENT_FILES = resolve(import.meta.dirname, '../../dist/packages/holdfast-client');
/** The provider runs on this machine. With one elsewhere leave this out: it must speak TLS. */
const LOCAL = { [oauth.allowInsecureRequests]: true };

await once(startProvider(ISSUER, REDIRECT_URI), 'listening');
const provider = await oauth.processDiscoveryResponse(
  new URL(ISSUER),
  await oauth.discoveryRequest(new URL(ISSUER), LOCAL),
);
const client: oauth.Client = { client_id: CLIENT.id };
const backend = createBackend({ url: GATEWAY_URL, apiKey: HOLDFAST_API_KEY });

/** What one request leaves for a later one of the same browser; no script can read it. */
const COOKIE = { httpOnly: true, sameSite: 'lax', maxAge: 600_000 } as const;

function cookie(request: Request, name: string): string {
  const pairs = (request.headers.cookie ?? '').split(';').map((pair) => pair.trim().split('='));
  return decodeURIComponent(pairs.find(([key]) => key === name)?.[1] ?? '');
}

async function toProvider(_request: Request, response: Response): Promise<void> {
  const [verifier, state] = [oauth.generateRandomCodeVerifier(), oauth.generateRandomState()];
  const url = new URL(provider.authorization_endpoint ?? '');
  url.search = new URLSearchParams({
    client_id: client.client_id,
    redirect_uri: REDIRECT_URI,
    response_type: 'code',
    // `offline_access` with consent: for a refresh token.
    scope: 'openid offline_access',
    prompt: 'consent',
    state,
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
  }).toString();
  response.cookie('verifier', verifier, COOKIE).cookie('state', state, COOKIE).redirect(url.href);
}

async function fromProvider(request: Request, response: Response): Promise<void> {
  const url = new URL(request.originalUrl, SELF);
  const parameters = oauth.validateAuthResponse(provider, client, url, cookie(request, 'state'));
  const answer = await oauth.authorizationCodeGrantRequest(
    provider,
    client,
    oauth.ClientSecretBasic(CLIENT.secret),
    parameters,
    REDIRECT_URI,
    cookie(request, 'verifier'),
    LOCAL,
  );
  const tokens = await oauth.processAuthorizationCodeResponse(provider, client, answer, { requireIdToken: true });
  const subject = oauth.getValidatedIdTokenClaims(tokens)?.sub;
  if (subject === undefined) throw new Error('the provider did not say who it is');

  const { login_code } = await backend.createLogin({
    principal: subject,
    rights: [{ sessions: 'room:*', allow: ['watch', 'own', 'send', 'signal'] }],
    origin: SELF,
    // From now on the gateway has it: do not keep or use it here.
    ...(tokens.refresh_token !== undefined && { upstream: { refresh_token: tokens.refresh_token } }),
  });
  // Not in the URL, which ends up in histories and logs. The page asks for it.
  response.clearCookie('verifier').clearCookie('state');
  response.cookie('login_code', login_code, { ...COOKIE, sameSite: 'strict', maxAge: 60_000 }).redirect('/');
}

const app = express();
app.use(authProxy({ url: GATEWAY_URL }));
app.get('/', (_request, response) => response.sendFile(join(import.meta.dirname, 'index.html')));
app.get('/settings', (_request, response) => void response.json({ gateway: GATEWAY_URL }));
app.use('/holdfast-client', express.static(CLIENT_FILES));
app.get('/login', toProvider);
app.get('/callback', fromProvider);

app.post('/login-code', (request, response) => {
  const login_code = cookie(request, 'login_code');
  response.clearCookie('login_code').set('Cache-Control', 'no-store').json({ login_code });
});

/** Something that the application asks of the provider for the person who is logged in. */
app.get('/profile', async (request, response) => {
  const accessToken = /^Bearer (\S+)$/.exec(request.headers.authorization ?? '')?.[1] ?? '';
  const { login_id, principal } = await backend.loginOf(accessToken);
  const upstream = await backend.upstreamToken(login_id);
  const answer = await oauth.userInfoRequest(provider, client, upstream.access_token, LOCAL);
  response.json(await oauth.processUserInfoResponse(provider, client, principal, answer));
});

const onError: ErrorRequestHandler = (error: unknown, _request, response, _next) => {
  const { code, status } = error instanceof HoldfastError ? error : { code: 'internal', status: 500 };
  console.error(`${code}: ${(error as Error).message}`);
  response.status(status).json({ code });
};
app.use(onError);

app.listen(Number(PORT), '127.0.0.1', (error) => {
  if (error !== undefined) throw error;
  console.log(`The application: ${SELF}/`);
});
