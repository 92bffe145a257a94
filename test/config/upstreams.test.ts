import { expect, it } from 'vitest';
import { loadConfig } from '../../src/config/load.js';
import { upstreamProviders } from '../../src/config/upstreams.js';
import { configSchema } from '../../src/config.js';

const TOKEN_URL = 'https://id.example/token';
const { config: defaults } = loadConfig({ env: {}, flags: {} });

function providers(change: object): Record<string, unknown> {
  return Object.fromEntries(upstreamProviders(configSchema.parse({ ...defaults, ...change })));
}

it('a provider needs a token endpoint and a client id', () => {
  expect(providers({ upstreams: { example: { tokenUrl: TOKEN_URL, clientId: 'me' } } })).toEqual({
    example: {
      tokenUrl: TOKEN_URL,
      clientId: 'me',
      clientAuth: 'none',
      dpop: false,
      exposeAccessToken: false,
      timeoutMs: 10_000,
      freshMs: 30_000,
    },
  });
});

it('a client with a secret sends it as Basic unless told otherwise', () => {
  const client = { tokenUrl: TOKEN_URL, clientId: 'me', clientSecret: 'hush' };
  const upstreams = { usual: client, post: { ...client, clientAuth: 'post' } };
  expect(providers({ upstreams })).toMatchObject({ usual: { clientAuth: 'basic' }, post: { clientAuth: 'post' } });
});

it('single settings stand for the provider `default`, beside those of the file', () => {
  const settings = {
    upstreamTokenUrl: TOKEN_URL,
    upstreamIssuer: 'https://id.example',
    upstreamClientId: 'me',
    upstreamClientSecret: 'hush',
    upstreamExposeAccessToken: true,
    upstreams: { example: { tokenUrl: TOKEN_URL, clientId: 'other' } },
  };
  expect(providers(settings)).toMatchObject({
    example: { clientId: 'other' },
    default: {
      tokenUrl: TOKEN_URL,
      issuer: 'https://id.example',
      clientId: 'me',
      clientSecret: 'hush',
      clientAuth: 'basic',
      exposeAccessToken: true,
      freshMs: 30_000,
    },
  });
});

it('there is none unless one is set', () => {
  expect(providers({})).toEqual({});
  expect(providers({ upstreamTokenUrl: TOKEN_URL })).toEqual({});
});
