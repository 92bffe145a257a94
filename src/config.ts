/**
 * Every setting of the gateway. Names are camelCase here and in files, `--kebab-case` as flags and
 * `HOLDFAST_SNAKE_CASE` in the environment; `config/load.ts` puts the four together.
 */
import { hostname } from 'node:os';
import { z } from 'zod';
import {
  integer,
  listenAddress,
  listOf,
  oneOf,
  parsed,
  settingInfo,
  text,
  webOrigin,
  yesOrNo,
} from './config/kinds.js';
import { MIN_SECRET_BYTES, parseSecrets } from './crypto/secrets.js';
import { LOG_LEVELS } from './ops/logger.js';
import { RIGHTS } from './session/rights.js';
import { parseRedisUrl, REDIS_URL_FORMS } from './store/redis/url.js';
import { trustedProxies } from './transport/addresses.js';

const DAY_MS = 86_400_000;
const MIB = 1_048_576;

const graceMs = () => integer(500, DAY_MS);
const handoverPolicy = () => oneOf(['next_subscriber', 'oldest_watcher', 'explicit_claim']);
const pattern = (what: string) =>
  text(/^(?=[^*]*(\*+[^*]*){0,3}$)[^\s]{1,256}$/, `${what}: 1 to 256 characters without spaces, at most 3 of them *`);
const secrets = () =>
  parsed(`one secret of at least ${MIN_SECRET_BYTES} bytes, or a list kid:secret,kid:secret`, parseSecrets);

/** A host's name as far as it can be part of a node id. */
function defaultNodeId(): string {
  const host = hostname().replace(/[^A-Za-z0-9._-]/g, '-');
  return `${host.slice(0, 48) || 'node'}-${process.pid}`;
}

const namespaceSettings = z.strictObject(
  {
    graceMs: graceMs().optional(),
    handoverPolicy: handoverPolicy().optional(),
    exposePrincipals: yesOrNo().optional(),
  },
  { error: 'an object with some of graceMs, handoverPolicy, exposePrincipals' },
);

const rule = z.strictObject(
  {
    principals: pattern('a pattern of principals'),
    sessions: pattern('a pattern of session ids, in which {principal} is the own one'),
    allow: listOf(oneOf(RIGHTS), RIGHTS.length),
  },
  { error: 'an object with principals, sessions and allow' },
);

/** In the order in which help and tables show them. */
export const configSchema = z.strictObject({
  host: listenAddress().default('127.0.0.1').register(settingInfo, { help: 'address that the public port listens on' }),
  port: integer(0, 65_535).default(8080).register(settingInfo, { help: 'public port; 0 takes any free one' }),
  internalHost: listenAddress()
    .default('127.0.0.1')
    .register(settingInfo, { help: 'address that the port for health checks and metrics listens on' }),
  internalPort: integer(0, 65_535)
    .default(9090)
    .register(settingInfo, { help: 'port for health checks and metrics; 0 takes any free one' }),
  nodeId: text(/^[A-Za-z0-9._-]{1,64}$/, '1 to 64 characters out of A-Z a-z 0-9 . _ -')
    .default(defaultNodeId)
    .register(settingInfo, {
      help: 'name of this node, unlike that of any other',
      defaultText: 'host name and process id',
    }),
  logLevel: oneOf(LOG_LEVELS)
    .default('info')
    .register(settingInfo, { help: 'least severe log lines that are written' }),

  redisUrl: parsed(`a Redis URL, such as ${REDIS_URL_FORMS[0]}`, parseRedisUrl).optional().register(settingInfo, {
    help: 'Redis that the nodes share: redis://, redis+sentinel:// or redis+cluster://, rediss for TLS',
    defaultText: 'memory, for a single node',
  }),
  redisPrefix: text(/^[A-Za-z0-9._-]{1,32}$/, '1 to 32 characters out of A-Z a-z 0-9 . _ -')
    .default('hf')
    .register(settingInfo, { help: 'what all keys and channels in Redis begin with' }),

  secret: secrets()
    .optional()
    .register(settingInfo, { help: 'secret behind reconnect tokens, the same on all nodes', secret: true }),
  apiKey: text(/^[\x21-\x7e]{32,512}$/, '32 to 512 visible ASCII characters')
    .optional()
    .register(settingInfo, {
      help: 'key with which the backend of the application calls the gateway; without it nobody can',
      secret: true,
    }),
  auth: listOf(oneOf(['jwt', 'anonymous']), 2)
    .min(1, { error: 'jwt, anonymous or both' })
    .optional()
    .register(settingInfo, { help: 'how connections say who they are: jwt, anonymous', defaultText: 'must be stated' }),
  jwtSecret: secrets()
    .optional()
    .register(settingInfo, { help: 'secret (HS256) with which the application signs its JWTs', secret: true }),
  jwtIssuer: text(/^.{1,512}$/, '1 to 512 characters')
    .optional()
    .register(settingInfo, { help: 'what the iss of a JWT must be', defaultText: 'anything' }),
  jwtAudience: text(/^.{1,512}$/, '1 to 512 characters')
    .optional()
    .register(settingInfo, { help: 'what the aud of a JWT must be or contain', defaultText: 'anything' }),
  jwtClockToleranceMs: integer(0, 300_000)
    .default(5_000)
    .register(settingInfo, { help: 'how far the clock of the issuer of JWTs may be off', unit: 'ms' }),
  access: oneOf(['rules', 'open'])
    .default('rules')
    .register(settingInfo, { help: 'rules: only what a rule or a token allows; open: everything but force' }),
  rights: listOf(rule, 1_000)
    .default([])
    .register(settingInfo, { help: 'rules {principals, sessions, allow}', fileOnly: true, defaultText: 'none' }),

  graceMs: graceMs()
    .default(30_000)
    .register(settingInfo, { help: 'how long a session is held for an owner that lost its connection', unit: 'ms' }),
  handoverPolicy: handoverPolicy().default('next_subscriber').register(settingInfo, {
    help: 'who gets a session that became free: next_subscriber, oldest_watcher, explicit_claim',
  }),
  exposePrincipals: yesOrNo()
    .default(false)
    .register(settingInfo, { help: 'whether subscribers are told who owns a session' }),
  namespaces: z
    .record(
      text(/^[A-Za-z0-9._~-]{1,64}$/, 'a namespace: what stands before the first : of session ids'),
      namespaceSettings,
      {
        error: 'an object of namespaces',
      },
    )
    .default({})
    .register(settingInfo, {
      help: 'graceMs, handoverPolicy and exposePrincipals by namespace',
      fileOnly: true,
      defaultText: 'none',
    }),

  allowedOrigins: listOf(webOrigin(), 1_000)
    .default([])
    .register(settingInfo, { help: 'origins of the web pages that may connect', defaultText: 'none' }),
  trustedProxies: listOf(
    parsed('an IP address or a CIDR block', (proxy) => trustedProxies([proxy])),
    1_000,
  )
    .default([])
    .register(settingInfo, {
      help: 'addresses and CIDR blocks whose X-Forwarded-For is believed',
      defaultText: 'none',
    }),
  maxConnections: integer(1, 1_000_000).default(50_000).register(settingInfo, { help: 'connections of this node' }),
  maxConnectionsPerAddress: integer(1, 1_000_000)
    .default(1_000)
    .register(settingInfo, { help: 'connections of one IPv4 address or IPv6 /64' }),
  maxSubscriptions: integer(1, 10_000)
    .default(128)
    .register(settingInfo, { help: 'sessions that one connection may follow' }),
  maxPayloadBytes: integer(1_024, 16 * MIB)
    .default(65_536)
    .register(settingInfo, { help: 'largest frame that is taken', unit: 'bytes' }),
  messagesPerSecond: integer(1, 100_000)
    .default(50)
    .register(settingInfo, { help: 'frames of one connection, on average' }),
  messageBurst: integer(1, 1_000_000).default(200).register(settingInfo, { help: 'frames of one connection at once' }),
  pingIntervalMs: integer(1_000, 3_600_000)
    .default(25_000)
    .register(settingInfo, { help: 'silence after which a connection is pinged', unit: 'ms' }),
  pongTimeoutMs: integer(100, 600_000)
    .default(8_000)
    .register(settingInfo, { help: 'how long a ping may stay unanswered', unit: 'ms' }),
  sendQueueBytes: integer(16_384, 1_024 * MIB)
    .default(MIB)
    .register(settingInfo, { help: 'unsent data beyond which a connection is closed as too slow', unit: 'bytes' }),
  drainMs: integer(100, 3_600_000)
    .default(25_000)
    .register(settingInfo, { help: 'how long a node that was told to stop may take to hand over', unit: 'ms' }),
});

export type Config = z.output<typeof configSchema>;
export type SettingName = keyof Config;

export const SETTING_NAMES = Object.keys(configSchema.shape) as SettingName[];

/** What an entry of the two structured settings may hold. */
export const ENTRY_KEYS = { rights: Object.keys(rule.shape), namespaces: Object.keys(namespaceSettings.shape) };
