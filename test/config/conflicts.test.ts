import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { conflicts } from '../../src/config/conflicts.js';
import { loadConfig } from '../../src/config/load.js';
import type { Config } from '../../src/config.js';

const PEM = generateKeyPairSync('ed25519').publicKey.export({ type: 'spki', format: 'pem' }).toString();
const JWKS = 'https://keys.example/jwks';
const TOKEN_URL = 'https://id.example/token';
const SECRET = 's'.repeat(32);
const HOOK_SECRET = `whsec_${'A'.repeat(32)}`;
const JWT_SECRET = 'j'.repeat(32);
const PROVIDER = {
  tokenUrl: TOKEN_URL,
  clientId: 'holdfast',
  dpop: false,
  exposeAccessToken: false,
  timeoutMs: 10_000,
  freshMs: 30_000,
};
const RULE = { principals: '*', sessions: '*', allow: ['own' as const] };
const { config: defaults } = loadConfig({ env: {}, flags: {} });
const login: Partial<Config> = { auth: ['login'], apiKey: 'k'.repeat(32) };
const good: Config = { ...defaults, secret: SECRET, auth: ['anonymous'], access: 'open' };

describe('settings that do not fit together', () => {
  it.each<[Partial<Config>, string]>([
    [{ secret: undefined }, 'holdfast keygen'],
    [{ auth: undefined }, '--auth is missing'],
    [{ workers: 2 }, '--workers 2 needs --redis-url'],
    [{ auth: ['jwt'] }, '--auth jwt needs HOLDFAST_JWT_SECRET, HOLDFAST_JWT_PUBLIC_KEY or HOLDFAST_JWT_JWKS_URL'],
    [
      { auth: ['jwt'], jwtSecret: JWT_SECRET, jwtPublicKey: PEM },
      'HOLDFAST_JWT_SECRET and HOLDFAST_JWT_PUBLIC_KEY are all set',
    ],
    [{ auth: ['jwt'], jwtSecret: JWT_SECRET, jwtJwksUrl: JWKS }, 'keep one'],
    [{ jwtPublicKey: PEM }, 'HOLDFAST_JWT_PUBLIC_KEY does nothing without --auth jwt'],
    [{ jwtIssuer: 'app' }, 'HOLDFAST_JWT_ISSUER does nothing without --auth jwt'],
    [{ jwtAlgorithms: ['HS256'] }, 'HOLDFAST_JWT_ALGORITHMS does nothing'],
    [{ auth: ['jwt'], jwtSecret: JWT_SECRET, jwtAlgorithms: ['RS256'] }, 'no key of the JWTs can do RS256'],
    [{ auth: ['jwt'], jwtSecret: JWT_SECRET, jwtAlgorithms: ['HS512'] }, 'no key of the JWTs can do HS512'],
    [{ auth: ['jwt'], jwtPublicKey: PEM, jwtAlgorithms: ['HS256'] }, 'no key of the JWTs can do HS256'],
    [{ auth: ['jwt'], jwtJwksUrl: JWKS, jwtAlgorithms: ['HS256'] }, 'no published key can do HS256'],
    [{ auth: ['jwt'], jwtSecret: PEM.replace(',', '') }, 'a PEM is no JWT secret'],
    [{ auth: ['jwt'], jwtJwksUrl: 'http://127.0.0.1/jwks' }, 'HOLDFAST_JWT_JWKS_URL: it is not https'],
    [{ auth: ['login'] }, '--auth login needs HOLDFAST_API_KEY'],
    [{ signingKeys: 'a:x' }, 'HOLDFAST_SIGNING_KEYS does nothing without --auth login'],
    [{ loginMaxMs: 1_000_000_000 }, '--login-max-ms (1000000000) must be at least --login-idle-ms (1209600000)'],
    [{ loginIdleMs: 599_999 }, 'at least twice --access-token-ttl-ms (300000)'],
    [{ accessTokenTtlMs: 49_999 }, 'at least twice --renewal-margin-ms (25000)'],
    [{ loginIdleMs: 700_000, reuseIntervalMs: 700_001 }, '--reuse-interval-ms'],
    [{ ticketInUrl: true }, '--ticket-in-url does nothing'],
    [{ ...login, upstreamTokenUrl: TOKEN_URL }, 'only HOLDFAST_UPSTREAM_TOKEN_URL is set'],
    [{ ...login, upstreamClientId: 'a' }, 'only HOLDFAST_UPSTREAM_CLIENT_ID is set'],
    [{ ...login, upstreamClientSecret: 'a' }, 'HOLDFAST_UPSTREAM_CLIENT_SECRET: of no use without'],
    [{ ...login, upstreamExposeAccessToken: true }, 'HOLDFAST_UPSTREAM_EXPOSE_ACCESS_TOKEN: of no use without'],
    [
      { ...login, upstreamTokenUrl: TOKEN_URL, upstreamClientId: 'a', upstreams: { default: PROVIDER } },
      'upstreams.default of the file are the same provider',
    ],
    [{ upstreams: { example: PROVIDER } }, 'providers (upstreams) do nothing without --auth login'],
    [
      { ...login, upstreams: { example: { ...PROVIDER, issuer: 'http://127.0.0.1:1' } } },
      'the issuer of the provider example must be https',
    ],
    [
      { ...login, upstreams: { example: { ...PROVIDER, tokenUrl: 'http://127.0.0.1:1', issuer: JWKS } } },
      'the tokenUrl of the provider example must be https',
    ],
    [{ eventsUrl: 'http://app/events' }, 'HOLDFAST_EVENTS_URL: requests to the application are signed'],
    [{ hookSecret: HOOK_SECRET }, 'HOLDFAST_HOOK_SECRET does nothing without'],
    [{ sessionIdleMs: 1_000 }, '--session-idle-ms does nothing without --events-url'],
    [{ namespaces: { chat: { messageHook: true } } }, 'namespaces.chat.messageHook does nothing without --message-url'],
    [
      { authorizeUrl: 'https://app.example/authorize', hookSecret: HOOK_SECRET },
      '--access open leaves nothing to ask HOLDFAST_AUTHORIZE_URL for',
    ],
    [{ namespaces: { chat: { rights: [] } } }, 'makes the rights of the file void'],
    [{ namespaces: { chat: { maxMessageBytes: 1_048_576, historyBytes: 4_194_304 } } }, '--send-queue-bytes (1048576)'],
    [
      { namespaces: { chat: { historyBytes: 131_071 } } },
      'namespaces.chat.historyBytes (131071) must be at least twice',
    ],
    [{ historyBytes: 131_071 }, '--history-bytes (131071) must be at least twice'],
    [{ namespaces: { chat: { maxMessageBytes: 524_289 } }, sendQueueBytes: 4_194_304 }, 'namespaces.chat.historyBytes'],
    [{ access: 'rules' }, 'allows nobody anything'],
    [{ rights: [RULE] }, 'makes the rights of the file void'],
    [{ port: 9090 }, 'both 9090'],
    [{ pongTimeoutMs: 25_000 }, 'less than --ping-interval-ms'],
    [{ apiKey: SECRET }, 'must differ'],
    [{ secret: `a:not-a-secret-${SECRET}` }, 'HOLDFAST_SECRET: out of an example, and known to everybody'],
  ])('%j', (change, problem) => {
    const found = conflicts({ ...good, ...change }, true);
    expect(found).toHaveLength(1);
    expect(found[0]).toContain(problem);
    expect(found[0]).not.toContain(SECRET);
  });

  it.each<Partial<Config>>([
    {},
    { access: 'rules', rights: [RULE] },
    { access: 'rules', namespaces: { chat: { rights: [{ principals: '*', allow: ['watch'] }] } } },
    { access: 'rules', authorizeUrl: 'http://app/authorize', hookSecret: HOOK_SECRET },
    { eventsUrl: 'http://app/events', sessionIdleMs: 1_000, hookSecret: HOOK_SECRET },
    { access: 'rules', auth: ['jwt'], jwtSecret: JWT_SECRET },
    { access: 'rules', auth: ['jwt', 'anonymous'], jwtPublicKey: PEM, jwtAlgorithms: ['EdDSA'], jwtType: 'at+jwt' },
    { access: 'rules', auth: ['jwt'], jwtJwksUrl: JWKS, jwtIssuer: 'app', jwtAudience: 'holdfast' },
    { auth: ['jwt'], jwtJwksUrl: 'http://127.0.0.1/jwks', allowLoopbackHttp: true },
    { jwtSecret: JWT_SECRET },
    { ...login, access: 'rules', signingKeys: 'a:x', ticketInUrl: true },
    { ...login, upstreamTokenUrl: TOKEN_URL, upstreamClientId: 'a', upstreams: { example: PROVIDER } },
    {
      ...login,
      upstreams: { example: { ...PROVIDER, tokenUrl: 'http://localhost:1' } },
      allowLoopbackHttp: true,
    },
    { port: 0, internalPort: 0 },
    { secret: `not-a-secret-${SECRET}`, allowExampleSecrets: true },
  ])('but %j do', (change) => {
    expect(conflicts({ ...good, ...change }, true)).toEqual([]);
  });

  it('asks for secret and auth only where they must be stated', () => {
    expect(conflicts({ ...defaults, access: 'open' }, false)).toEqual([]);
    expect(conflicts(defaults, true)).toHaveLength(2);
    expect(conflicts({ ...good, workers: 2, redisUrl: 'redis://127.0.0.1' }, false)).toEqual([
      '--workers is for serve: dev is one process',
    ]);
  });
});
