/** An OAuth 2.0 provider to try the example with: `oidc-provider`, with its own pages for trying out. In memory. */
import { createServer, type Server } from 'node:http';
import { Provider } from 'oidc-provider';

export const CLIENT = { id: 'example-app', secret: 'example-app-secret' };

/** @param redirectUri where people are sent back to */
export function startProvider(issuer: string, redirectUri: string): Server {
  const provider = new Provider(issuer, {
    clients: [
      {
        client_id: CLIENT.id,
        client_secret: CLIENT.secret,
        redirect_uris: [redirectUri],
        grant_types: ['authorization_code', 'refresh_token'],
      },
    ],
    findAccount: (_context, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
    // A refresh token that is used twice is taken for stolen, and ends the grant.
    rotateRefreshToken: true,
    cookies: { keys: ['only for trying out'] },
    features: { devInteractions: { enabled: true } },
  });
  const { hostname, port } = new URL(issuer);
  return createServer(provider.callback()).listen(Number(port), hostname);
}
