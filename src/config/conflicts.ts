import type { Config, SettingName } from '../config.js';
import { createJwtVerifier } from '../login/jwt.js';
import { jwtOptions } from './jwt-settings.js';
import { envName, flagName } from './names.js';
import { DEFAULT_UPSTREAM, upstreamProviders } from './upstreams.js';

/** Each is a way to verify JWTs, of which there is one. */
const JWT_KEYS = ['jwtSecret', 'jwtPublicKey', 'jwtJwksUrl'] as const;
/** Void unless JWTs are verified. Not the secret: `keygen` prints one in any case. */
const JWT_RULES = ['jwtPublicKey', 'jwtJwksUrl', 'jwtAlgorithms', 'jwtType', 'jwtIssuer', 'jwtAudience'] as const;
const OWN_SECRETS = ['secret', 'apiKey', 'adminKey', 'jwtSecret', 'signingKeys', 'hookSecret'] as const;
/** What the secrets of examples begin with. */
const EXAMPLE = 'not-a-secret';
const HOOK_URLS = ['authorizeUrl', 'messageUrl', 'eventsUrl'] as const;
/** What describes the one provider. */
const UPSTREAM = ['upstreamTokenUrl', 'upstreamClientId'] as const;
const UPSTREAM_EXTRAS = ['upstreamIssuer', 'upstreamClientSecret'] as const;

type Duration = 'accessTokenTtlMs' | 'loginIdleMs' | 'loginMaxMs' | 'renewalMarginMs' | 'reuseIntervalMs';

/** A check and what is wrong when it holds. */
type Check = readonly [wrong: boolean, problem: string];

/**
 * What each value allows and all together do not.
 * @param stated whether secret and auth must have been given, as for `serve`
 */
export function conflicts(config: Config, stated: boolean): string[] {
  const checks = [
    ...(stated
      ? missing(config)
      : [[config.workers > 1, '--workers is for serve: dev is one process'] satisfies Check]),
    ...jwtChecks(config),
    ...loginChecks(config),
    ...upstreamChecks(config),
    ...hookChecks(config),
    ...otherChecks(config),
  ];
  return checks.filter(([wrong]) => wrong).map(([, problem]) => problem);
}

function given<const T extends readonly SettingName[]>(config: Config, names: T): T[number][] {
  return names.filter((name) => config[name] !== undefined);
}

function listed(names: readonly SettingName[], word: 'and' | 'or'): string {
  return new Intl.ListFormat('en-GB', { type: word === 'and' ? 'conjunction' : 'disjunction' }).format(
    names.map(envName),
  );
}

function missing(config: Config): Check[] {
  const { auth = [], secret, apiKey, allowExampleSecrets } = config;
  const examples = given(config, OWN_SECRETS).filter((name) => config[name]?.includes(EXAMPLE));
  return [
    [
      examples.length > 0 && !allowExampleSecrets,
      `${listed(examples, 'and')}: out of an example, and known to everybody: make your own with \`holdfast keygen\``,
    ],
    [
      secret === undefined,
      `${envName('secret')} is missing: make one with \`holdfast keygen\` and give the same to all nodes`,
    ],
    [
      auth.length === 0,
      '--auth is missing: login (for a backend that creates logins), jwt (the application signs JWTs), anonymous, or a ' +
        'list of them',
    ],
    [
      auth.includes('login') && apiKey === undefined,
      `--auth login needs ${envName('apiKey')}, with which the backend of the application creates logins`,
    ],
  ];
}

function jwtChecks(config: Config): Check[] {
  const wanted = config.auth?.includes('jwt') ?? false;
  const keys = given(config, JWT_KEYS);
  const checks: Check[] = [
    [
      wanted && keys.length === 0,
      `--auth jwt needs ${listed(JWT_KEYS, 'or')}, with which the JWTs of the application are verified`,
    ],
    [
      keys.length > 1,
      `${listed(keys, 'and')} are all set: keep one, since what is public to one way must not be a secret of the other`,
    ],
    ...given(config, JWT_RULES).map((name): Check => [!wanted, `${envName(name)} does nothing without --auth jwt`]),
  ];
  try {
    const options = keys.length === 1 ? jwtOptions(config) : undefined;
    if (options !== undefined) createJwtVerifier(options);
  } catch (error) {
    checks.push([true, `${listed(keys, 'and')}: ${(error as Error).message}`]);
  }
  return checks;
}

function loginChecks(config: Config): Check[] {
  const wanted = config.auth?.includes('login') ?? false;
  const atLeast = (more: Duration, times: 1 | 2, less: Duration): Check => [
    config[more] < times * config[less],
    `${flagName(more)} (${config[more]}) must be at least ${times === 2 ? 'twice ' : ''}${flagName(less)} (${config[less]})`,
  ];
  return [
    [!wanted && config.signingKeys !== undefined, `${envName('signingKeys')} does nothing without --auth login`],
    atLeast('loginMaxMs', 1, 'loginIdleMs'),
    // A connection that says nothing keeps its login alive by renewing its credential.
    atLeast('loginIdleMs', 2, 'accessTokenTtlMs'),
    atLeast('accessTokenTtlMs', 2, 'renewalMarginMs'),
    atLeast('loginIdleMs', 1, 'reuseIntervalMs'),
    [
      config.ticketInUrl && !wanted && !(config.auth?.includes('jwt') ?? false),
      '--ticket-in-url does nothing without --auth login or jwt: nobody else gets tickets',
    ],
  ];
}

function upstreamChecks(config: Config): Check[] {
  const providers = upstreamProviders(config);
  const wanted = config.auth?.includes('login') ?? false;
  const core = given(config, UPSTREAM);
  const extras: SettingName[] = given(config, UPSTREAM_EXTRAS);
  if (config.upstreamExposeAccessToken) extras.push('upstreamExposeAccessToken');
  const urls = [...providers].flatMap(([name, { tokenUrl, issuer = tokenUrl }]) => [
    [`the tokenUrl of the provider ${name}`, tokenUrl] as const,
    [`the issuer of the provider ${name}`, issuer] as const,
  ]);
  return [
    [core.length === 1, `${listed(UPSTREAM, 'and')} belong together: only ${listed(core, 'and')} is set`],
    [
      core.length === 0 && extras.length > 0,
      `${listed(extras, 'and')}: of no use without ${listed(UPSTREAM, 'and')}, which say which provider`,
    ],
    [
      core.length > 0 && Object.hasOwn(config.upstreams, DEFAULT_UPSTREAM),
      `${listed(core, 'and')} and upstreams.${DEFAULT_UPSTREAM} of the file are the same provider: keep one`,
    ],
    [
      (core.length > 0 || providers.size > 0) && !wanted,
      'providers (upstreams) do nothing without --auth login: their grants belong to logins',
    ],
    ...(config.allowLoopbackHttp ? [] : urls)
      .filter(([, url]) => !url.startsWith('https:'))
      .map(([what]): Check => [true, `${what} must be https, or on this machine with --allow-loopback-http`]),
  ];
}

function hookChecks(config: Config): Check[] {
  const urls = given(config, HOOK_URLS);
  const asks = Object.entries(config.namespaces).flatMap(([name, { authorizeHook, messageHook }]) => [
    [`namespaces.${name}.authorizeHook`, authorizeHook, 'authorizeUrl'] as const,
    [`namespaces.${name}.messageHook`, messageHook, 'messageUrl'] as const,
  ]);
  return [
    [
      urls.length > 0 && config.hookSecret === undefined,
      `${listed(urls, 'and')}: requests to the application are signed, so ${envName('hookSecret')} is needed; \`holdfast ` +
        'keygen --hook-secret` makes one',
    ],
    [
      urls.length === 0 && config.hookSecret !== undefined,
      `${envName('hookSecret')} does nothing without ${listed(HOOK_URLS, 'or')}`,
    ],
    [
      config.sessionIdleMs > 0 && config.eventsUrl === undefined,
      `${flagName('sessionIdleMs')} does nothing without ${flagName('eventsUrl')}: nobody would be told`,
    ],
    ...asks.map(
      ([what, wanted, url]): Check => [
        wanted === true && config[url] === undefined,
        `${what} does nothing without ${flagName(url)}`,
      ],
    ),
  ];
}

function otherChecks(config: Config): Check[] {
  const { auth = [], access, rights } = config;
  const spaces = Object.values(config.namespaces);
  const largest = Math.max(config.maxMessageBytes, ...spaces.map(({ maxMessageBytes = 0 }) => maxMessageBytes));
  const hasRules =
    rights.length > 0 || config.authorizeUrl !== undefined || spaces.some(({ rights: own }) => own !== undefined);
  const secrets = given(config, OWN_SECRETS);
  return [
    [
      access === 'rules' && !hasRules && auth.length > 0 && !auth.includes('jwt') && !auth.includes('login'),
      '--access rules without any rule and without --auth login or jwt allows nobody anything: write rights into the ' +
        'file of --config, or say --access open',
    ],
    [
      access === 'open' && (rights.length > 0 || spaces.some(({ rights: own }) => own !== undefined)),
      '--access open makes the rights of the file void: leave out one of them',
    ],
    [
      access === 'open' && config.authorizeUrl !== undefined,
      `--access open leaves nothing to ask ${envName('authorizeUrl')} for: leave out one of them`,
    ],
    [
      config.port === config.internalPort && config.port !== 0,
      `--port and --internal-port are both ${config.port}: they must differ`,
    ],
    [
      config.workers > 1 && config.redisUrl === undefined,
      `--workers ${config.workers} needs --redis-url: workers share nothing else`,
    ],
    historyCheck(flagName('historyBytes'), {}, config),
    ...Object.entries(config.namespaces).flatMap(([name, { historyBytes, maxMessageBytes }]) => {
      if (historyBytes === undefined && maxMessageBytes === undefined) return [];
      return [historyCheck(`namespaces.${name}.historyBytes`, { historyBytes, maxMessageBytes }, config)];
    }),
    [
      4 * largest > config.sendQueueBytes,
      `${flagName('sendQueueBytes')} (${config.sendQueueBytes}) must be at least four times the largest message (${largest})`,
    ],
    [config.pongTimeoutMs >= config.pingIntervalMs, '--pong-timeout-ms must be less than --ping-interval-ms'],
    [
      new Set(secrets.map((name) => config[name])).size < secrets.length,
      `${listed(secrets, 'and')} must differ: others know some of them`,
    ],
  ];
}

/** Trimming makes room for a sixteenth: a message that fills all of it would go with the rest. */
function historyCheck(what: string, own: Config['namespaces'][string], config: Config): Check {
  const { historyBytes = config.historyBytes, maxMessageBytes = config.maxMessageBytes } = own;
  return [
    historyBytes < 2 * maxMessageBytes,
    `${what} (${historyBytes}) must be at least twice the largest message (${maxMessageBytes})`,
  ];
}
