import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { infoOf } from '../../src/config/names.js';
import { SETTING_NAMES, type SettingName } from '../../src/config.js';
import { fileOf, problems, SECRET } from './loading.js';

const PROVIDER = { tokenUrl: 'https://id.example/token', clientId: 'holdfast' };
const PRIVATE_PEM = generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
const weakPem = generateKeyPairSync('rsa', { modulusLength: 1_024 })
  .publicKey.export({ type: 'spki', format: 'pem' })
  .toString();

/** At least one wrong value for every setting, and a part of what is allowed instead. */
const WRONG: Record<SettingName, [value: unknown, allowed: string][]> = {
  host: [
    ['not a host', 'IP address or a host name'],
    ['', 'IP address'],
    [1, 'IP address'],
  ],
  port: [
    ['http', 'integer from 0 to 65535'],
    [65_536, 'integer from 0'],
    [-1, 'integer'],
    [80.5, 'integer'],
  ],
  internalHost: [['http://x', 'IP address or a host name']],
  internalPort: [['9090x', 'integer from 0 to 65535']],
  nodeId: [
    ['a b', '1 to 64 characters'],
    ['x'.repeat(65), '1 to 64 characters'],
  ],
  workers: [
    [0, 'integer from 1 to 64'],
    [65, 'integer from 1 to 64'],
  ],
  logLevel: [['verbose', 'one of debug, info, warn, error, silent']],
  redisUrl: [
    ['localhost:6379', 'a Redis URL'],
    ['http://x', 'a Redis URL'],
    ['redis://a,b', 'redis+cluster://'],
  ],
  redisPrefix: [
    ['a:b', '1 to 32 characters'],
    ['{x}', '1 to 32 characters'],
  ],
  secret: [
    ['short', 'at least 32 bytes'],
    [`${SECRET},${SECRET}`, 'kid:secret'],
    [7, 'kid:secret'],
  ],
  apiKey: [
    ['short', '32 to 512 visible'],
    [`${SECRET} ${SECRET}`, '32 to 512 visible'],
  ],
  adminKey: [['short', '32 to 512 visible']],
  allowExampleSecrets: [['once', 'true or false']],
  auth: [
    [['oauth'], 'one of login, jwt, anonymous'],
    [[], 'at least one of login, jwt, anonymous'],
    ['jwt', 'a list'],
  ],
  publicUrl: [
    ['https://gateway.example/', 'an origin'],
    ['gateway.example', 'an origin'],
    ['wss://gateway.example', 'an origin'],
  ],
  jwtSecret: [['short', 'at least 32 bytes']],
  jwtPublicKey: [
    ['hush', 'BEGIN PUBLIC KEY'],
    [PRIVATE_PEM, 'PRIVATE KEY is not PUBLIC KEY'],
    [weakPem, 'less than 2048 bits'],
  ],
  jwtJwksUrl: [
    ['http://keys.example/jwks', 'an https URL'],
    ['https://user:hush@keys.example/jwks', 'without user name'],
    ['keys.example', 'an https URL'],
  ],
  jwtAlgorithms: [
    [['none'], 'one of HS256'],
    [[], 'at least one of HS256'],
  ],
  jwtType: [['a b', 'a media type']],
  jwtIssuer: [['', '1 to 512']],
  jwtAudience: [['x'.repeat(513), '1 to 512']],
  jwtClockToleranceMs: [[300_001, 'integer from 0 to 300000']],
  signingKeys: [
    ['short', 'kid:seed'],
    [`a:${'A'.repeat(42)}`, '32 bytes'],
    [`a:${'A'.repeat(43)},a:${'A'.repeat(43)}`, 'a key id occurs twice'],
  ],
  accessTokenTtlMs: [
    [999, 'integer from 1000 to 86400000'],
    ['5m', 'integer from 1000'],
  ],
  renewalMarginMs: [[-1, 'integer from 0 to 600000']],
  reuseIntervalMs: [[99, 'integer from 100 to 3600000']],
  ticketTtlMs: [
    [999, 'integer from 1000 to 600000'],
    [600_001, 'integer from 1000 to 600000'],
  ],
  ticketInUrl: [['yes', 'true or false']],
  loginIdleMs: [
    [0, 'integer from 1000'],
    [34_560_000_001, 'to 34560000000'],
  ],
  loginMaxMs: [[Number.MAX_SAFE_INTEGER, 'to 34560000000']],
  maxLoginsPerPrincipal: [[0, 'integer from 1 to 100000']],
  maxAuditEvents: [[999, 'integer from 1000']],
  upstreamTokenUrl: [
    ['http://id.example/token', 'an https URL'],
    ['https://id.example/token#part', 'an https URL'],
  ],
  upstreamIssuer: [['id.example', 'an https URL']],
  upstreamClientId: [['', '1 to 512 ASCII']],
  upstreamClientSecret: [['é', '1 to 4096 ASCII']],
  upstreamExposeAccessToken: [['page', 'true or false']],
  upstreams: [
    [[], 'an object of providers'],
    ['hush', 'an object of providers'],
    [{ example: 'hush' }, 'an object with tokenUrl'],
    [{ 'a b': PROVIDER }, 'the name of a provider'],
    [{ example: { ...PROVIDER, tokenUrl: 'ftp://id.example' } }, 'an https URL'],
    [{ example: { ...PROVIDER, clientId: '' } }, '1 to 512 ASCII'],
    [{ example: { ...PROVIDER, clientSecret: 'hush\n' } }, '1 to 4096 ASCII'],
    [{ example: { ...PROVIDER, clientAuth: 'digest' } }, 'one of basic, post, none'],
    [{ example: { ...PROVIDER, clientAuth: 'post' } }, 'basic or post with a clientSecret'],
    [{ example: { ...PROVIDER, clientAuth: 'none', clientSecret: 'hush' } }, 'none without'],
    [{ example: { ...PROVIDER, scope: 'a  b' } }, 'scopes with one space'],
    [{ example: { ...PROVIDER, timeoutMs: 30_001 } }, 'integer from 100 to 30000'],
    [{ example: { ...PROVIDER, freshMs: -1 } }, 'integer from 0'],
  ],
  allowLoopbackHttp: [['localhost', 'true or false']],
  access: [['closed', 'one of rules, open']],
  rights: [
    [{}, 'a list'],
    [[1], 'an object with principals'],
    [[{ principals: '*', sessions: '*', allow: ['fly'] }], 'one of watch, own, send, signal, force'],
    [[{ principals: '*', sessions: '*a*b*c*', allow: ['own'] }], 'at most 3 of them *'],
    [[{ principals: '*', sessions: `${'*'.repeat(9_000)}a*a*a*a`, allow: ['own'] }], 'at most 3 of them *'],
    [[{ principals: '*', allow: ['own'] }], 'pattern of session ids'],
  ],
  graceMs: [
    [0, 'integer from 500 to 86400000'],
    ['30s', 'integer from 500'],
    [Number.MAX_SAFE_INTEGER, 'integer from 500'],
  ],
  handoverPolicy: [['newest', 'one of next_subscriber, oldest_watcher, explicit_claim']],
  exposePrincipals: [
    ['yes', 'true or false'],
    [1, 'true or false'],
  ],
  historyCount: [
    [-1, 'integer from 0 to 1000000'],
    [1_000_001, 'to 1000000'],
  ],
  historyBytes: [[1_023, 'integer from 1024']],
  historyAgeMs: [[999, 'integer from 1000']],
  historyWhenFull: [['drop_newest', 'one of drop_oldest, refuse']],
  maxMessageBytes: [
    [0, 'integer from 1024'],
    [1_048_577, 'to 1048576'],
  ],
  sendsPerSecond: [[-1, 'integer from 0 to 100000']],
  presence: [['yes', 'true or false']],
  namespaces: [
    [[], 'an object of namespaces'],
    [{ chat: { historyCount: -1 } }, 'integer from 0'],
    [{ chat: { presence: 'on' } }, 'true or false'],
    [{ chat: { rights: [{ principals: '*', sessions: '*', allow: ['own'] }] } }, 'sessions is not known there'],
    [{ chat: { rights: [{ principals: '*', allow: ['fly'] }] } }, 'one of watch, own, send, signal, force'],
    [{ 'a:b': {} }, 'before the first :'],
    [{ chat: 5 }, 'an object with some of'],
    [{ chat: { graceMs: -1 } }, 'integer from 500'],
  ],
  authorizeUrl: [
    ['app.example', 'an http or https URL'],
    ['ftp://app.example', 'an http or https URL'],
    ['https://user:hush@app.example', 'without user name'],
  ],
  authorizeTtlMs: [[0, 'integer from 1000']],
  messageUrl: [['https://app.example/#a', 'without user name']],
  eventsUrl: [['', 'an http or https URL']],
  hookSecret: [
    ['hush', 'whsec_'],
    [`whsec_${'A'.repeat(31)}`, '24 to 64 bytes'],
  ],
  hookTimeoutMs: [[99, 'integer from 100']],
  hookConcurrency: [[0, 'integer from 1']],
  sessionIdleMs: [[-1, 'integer from 0']],
  allowedOrigins: [
    [['example.com'], 'an origin'],
    [['https://example.com/'], 'an origin'],
    [['*'], 'an origin'],
  ],
  trustedProxies: [
    [['10.0.0.0/33'], 'CIDR block'],
    [['proxy'], 'CIDR block'],
  ],
  maxConnections: [[0, 'integer from 1']],
  maxConnectionsPerAddress: [[0, 'integer from 1']],
  maxSubscriptions: [
    [0, 'integer from 1'],
    [10_001, 'to 10000'],
  ],
  maxPayloadBytes: [[1, 'integer from 1024']],
  messagesPerSecond: [[0, 'integer from 1']],
  messageBurst: [[0, 'integer from 1']],
  pingIntervalMs: [[999, 'integer from 1000']],
  pongTimeoutMs: [[99, 'integer from 100']],
  sendQueueBytes: [[1, 'integer from 16384']],
  compressAboveBytes: [[-1, 'integer from 0']],
  drainMs: [[99, 'integer from 100']],
  drainRate: [[-1, 'integer from 0']],
  maxConnectionAgeMs: [
    [-1, 'integer from 0'],
    [9_999, '0, or an integer from 10000'],
  ],
  maxRssBytes: [['1G', 'integer from 0']],
  unreadyWithoutStore: [['sometimes', 'true or false']],
};

const WRONG_VALUES = Object.entries(WRONG).flatMap(([name, cases]) =>
  cases.map(([value, allowed]) => [name as SettingName, value, allowed] as const),
);

describe('wrong values', () => {
  it('are tried for every setting', () => {
    expect(Object.keys(WRONG)).toEqual(SETTING_NAMES);
  });

  it.each(WRONG_VALUES)('%s: %j in a file', (name, value, allowed) => {
    const path = fileOf({ [name]: value });
    const found = problems({ file: path });
    expect(found).toHaveLength(1);
    expect(found[0]).toContain(`${path}: ${name}`);
    expect(found[0]).toContain(allowed);
    if (infoOf(name).secret || infoOf(name).multiline) expect(found[0]).toContain('(hidden)');
    expect(found[0]).not.toContain('hush');
  });
});
