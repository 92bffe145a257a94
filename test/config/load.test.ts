import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { ENV_SETTINGS, envName, flagName, infoOf, SECRET_NAMES } from '../../src/config/names.js';
import { masked } from '../../src/config/show.js';
import { SETTING_NAMES } from '../../src/config.js';
import { fileOf, load, problems, SECRET } from './loading.js';

const PUBLIC_PEM = generateKeyPairSync('ed25519').publicKey.export({ type: 'spki', format: 'pem' }).toString();

describe('precedence', () => {
  it('is defaults, command, file, environment, flags', () => {
    const file = fileOf({ host: '10.0.0.1', port: 1, graceMs: 1_001, drainMs: 101 });
    const { config, sources } = load({
      file,
      env: { HOLDFAST_PORT: '2', HOLDFAST_GRACE_MS: '1002' },
      flags: { graceMs: '1003' },
      defaults: { logLevel: 'warn', host: '0.0.0.0' },
    });
    expect(config).toMatchObject({
      host: '10.0.0.1',
      port: 2,
      graceMs: 1_003,
      drainMs: 101,
      logLevel: 'warn',
      access: 'rules',
    });
    expect(sources).toMatchObject({
      host: 'file',
      port: 'env',
      graceMs: 'flag',
      drainMs: 'file',
      logLevel: 'default',
      access: 'default',
    });
  });

  it('takes the file from HOLDFAST_CONFIG, unless --config names one', () => {
    const env = { HOLDFAST_CONFIG: fileOf({ port: 1 }) };
    expect(load({ env }).config.port).toBe(1);
    expect(load({ env, file: fileOf({ port: 2 }) }).config.port).toBe(2);
  });

  it('takes an empty variable for none', () => {
    expect(load({ env: { HOLDFAST_REDIS_URL: '', HOLDFAST_CONFIG: '', HOLDFAST_PORT: '' } }).sources.port).toBe(
      'default',
    );
  });
});

describe('values', () => {
  it('are read out of text', () => {
    const { config } = load({
      env: { HOLDFAST_AUTH: 'jwt, anonymous', HOLDFAST_EXPOSE_PRINCIPALS: 'true', HOLDFAST_ALLOWED_ORIGINS: '' },
      flags: { trustedProxies: '10.0.0.0/8,::1', exposePrincipals: 'false' },
    });
    expect(config.auth).toEqual(['jwt', 'anonymous']);
    expect(config.trustedProxies).toEqual(['10.0.0.0/8', '::1']);
    expect(config.exposePrincipals).toBe(false);
    expect(load({ flags: { exposePrincipals: true } }).config.exposePrincipals).toBe(true);
  });

  it('of secrets come out of files, without the line end', () => {
    const env = { HOLDFAST_SECRET_FILE: fileOf(`${SECRET}\n`), HOLDFAST_API_KEY_FILE: fileOf(`k${SECRET}`) };
    expect(load({ env }).config).toMatchObject({ secret: SECRET, apiKey: `k${SECRET}` });
    expect(load({ env }).sources.secret).toBe('env');
  });

  it('of a Redis URL, which may have a password, come out of a file', () => {
    const env = { HOLDFAST_REDIS_URL_FILE: fileOf('redis://:hush@redis.example\n') };
    expect(load({ env }).config.redisUrl).toBe('redis://:hush@redis.example');
  });

  it('of public keys come out of a file, or a variable in one line', () => {
    const env = { HOLDFAST_JWT_PUBLIC_KEY_FILE: fileOf(PUBLIC_PEM) };
    expect(load({ env }).config.jwtPublicKey).toBe(PUBLIC_PEM.trim());
    const line = PUBLIC_PEM.replaceAll('\n', '\\n');
    expect(load({ env: { HOLDFAST_JWT_PUBLIC_KEY: line } }).config.jwtPublicKey).toBe(line);
  });

  it('of rights and namespaces come out of the file', () => {
    const content = {
      rights: [{ principals: '*', sessions: 'doc:{principal}:*', allow: ['watch', 'own'] }],
      namespaces: { chat: { graceMs: 5_000, handoverPolicy: 'explicit_claim' } },
    };
    expect(load({ file: fileOf(content) }).config).toMatchObject(content);
  });

  it('have a node id of their own for each process', () => {
    expect(load().config.nodeId).toMatch(new RegExp(`^[A-Za-z0-9._-]+-${process.pid}$`));
  });
});

describe('unknown names', () => {
  it.each([
    ['HOLDFAST_GRACEMS', 'HOLDFAST_GRACE_MS'],
    ['HOLDFAST_GRACE', 'HOLDFAST_GRACE_MS'],
    ['HOLDFAST_REDIS_ULR', 'HOLDFAST_REDIS_URL'],
    ['HOLDFAST_SECRETS', 'HOLDFAST_SECRET'],
    ['HOLDFAST_SECRET_FIEL', 'HOLDFAST_SECRET_FILE'],
    ['HOLDFAST_ALLOWED_ORIGIN', 'HOLDFAST_ALLOWED_ORIGINS'],
  ])('in the environment: %s suggests %s', (wrong, right) => {
    expect(problems({ env: { [wrong]: '1' } })).toEqual([`${wrong} is not a setting. Did you mean ${right}?`]);
  });

  it('in the file suggest the right one', () => {
    const path = fileOf({ grace_ms: 1, drain: 2, colour: 'red' });
    expect(problems({ file: path })).toEqual([
      `${path}: grace_ms is not a setting. Did you mean graceMs?`,
      `${path}: drain is not a setting. Did you mean drainMs?`,
      `${path}: colour is not a setting.`,
    ]);
  });

  it('deep in the file suggest the right one', () => {
    const path = fileOf({
      namespaces: { chat: { gracems: 5_000 } },
      rights: [{ principal: 'a', sessions: '*', allow: [] }],
    });
    const found = problems({ file: path });
    expect(found).toContain(`${path}: namespaces.chat: gracems is not known there. Did you mean graceMs?`);
    expect(found).toContain(`${path}: rights[0]: principal is not known there. Did you mean principals?`);
  });

  it('do not include the variables of other programs, nor of the tests', () => {
    expect(load({ env: { HOLDFASTER: '1', PATH: '/bin', HOLDFAST_TEST_REDIS_URL: 'redis://x' } }).config.port).toBe(
      8080,
    );
  });

  it.each(['HOLDFAST_SERVICE_HOST', 'HOLDFAST_PORT_8080_TCP_ADDR', 'HOLDFAST_REDIS_SERVICE_PORT'])(
    'of a Kubernetes Service are recognised: %s',
    (key) => {
      expect(problems({ env: { [key]: '1' } })[0]).toContain('enableServiceLinks: false');
    },
  );

  it('recognise the value that a Kubernetes Service gives to the port', () => {
    expect(problems({ env: { HOLDFAST_PORT: 'tcp://10.0.0.1:8080' } })[0]).toContain('enableServiceLinks: false');
  });
});

describe('settings in the wrong place', () => {
  it.each(SECRET_NAMES)('%s is not taken as a flag, and its value not shown', (name) => {
    const [problem = ''] = problems({ flags: { [name]: SECRET } });
    expect(problem).toContain(`set ${envName(name)} or ${envName(name)}_FILE`);
    expect(problem).not.toContain(SECRET);
  });

  it.each(SETTING_NAMES.filter((name) => infoOf(name).fileOnly))('%s is only taken from a file', (name) => {
    expect(problems({ env: { [envName(name)]: '[]' } })[0]).toContain('only be given in the file');
    expect(problems({ flags: { [name]: '[]' } })[0]).toContain('only be given in the file');
  });
});

describe('bad sources', () => {
  it.each([
    ['{"port": 1,\n "secret": "hush",,}', 'is not valid JSON'],
    ['[1]', 'is not a JSON object'],
    ['null', 'is not a JSON object'],
  ])('a file that says %j', (content, reason) => {
    const [problem = ''] = problems({ file: fileOf(content) });
    expect(problem).toContain(reason);
    expect(problem).not.toContain('hush');
  });

  it('files that are not there', () => {
    expect(problems({ file: '/nowhere/a.json' })).toEqual(['/nowhere/a.json: cannot be read (ENOENT)']);
    expect(problems({ env: { HOLDFAST_SECRET_FILE: '/nowhere/s' } })).toEqual([
      'HOLDFAST_SECRET_FILE: /nowhere/s cannot be read (ENOENT)',
    ]);
  });

  it('a secret twice, or in an empty file', () => {
    const twice = { HOLDFAST_SECRET: SECRET, HOLDFAST_SECRET_FILE: fileOf(SECRET) };
    expect(problems({ env: twice })[0]).toContain('both set');
    expect(problems({ env: { HOLDFAST_SECRET_FILE: fileOf('\n') } })[0]).toContain('is empty');
  });
});

describe('wrong values', () => {
  it('name the variable or the flag, and the value', () => {
    expect(problems({ env: { HOLDFAST_GRACE_MS: '1.5' } })).toEqual([
      'HOLDFAST_GRACE_MS: "1.5" is not allowed; allowed: an integer from 500 to 86400000',
    ]);
    expect(problems({ flags: { auth: 'jwt,magic' } })).toEqual([
      '--auth[1]: "magic" is not allowed; allowed: one of login, jwt, anonymous',
    ]);
  });

  it('are all told at once', () => {
    const found = problems({
      file: fileOf({ port: 'a', gracems: 1 }),
      env: { HOLDFAST_ACCESS: 'x', HOLDFAST_NOPE: '1' },
      flags: { drainMs: 'b' },
    });
    expect(found).toHaveLength(5);
  });
});

describe('what must not be seen', () => {
  it('is cut out of providers', () => {
    const seen = masked('upstreams', {
      a: { clientId: 'me', clientSecret: 'hush', issuer: 'https://u:hush@id.example' },
    });
    expect(seen).toEqual({ a: { clientId: 'me', clientSecret: '(hidden)', issuer: 'https://(hidden)@id.example' } });
  });

  it('stays out of problems', () => {
    const env = { HOLDFAST_SECRET: 'hush', HOLDFAST_JWT_SECRET: 'hush', HOLDFAST_REDIS_URL: 'redis://u:hush@h:x' };
    const found = problems({ env });
    expect(found).toHaveLength(3);
    expect(found.join()).not.toContain('hush');
  });

  it.each([
    ['redis://user:hush@host:1/0', 'redis://(hidden)@host:1/0'],
    ['redis://:hu@sh@host', 'redis://(hidden)@host'],
    ['redis+sentinel://h/name?sentinel_password=hush', 'redis+sentinel://h/name?(hidden)'],
    ['redis://host:6379', 'redis://host:6379'],
    ['user:hush@host', '//(hidden)@host'],
  ])('is cut out of a Redis URL: %s', (url, seen) => {
    expect(masked('redisUrl', url)).toBe(seen);
  });
});

it('names of flags and variables follow from the settings', () => {
  expect(flagName('maxConnectionsPerAddress')).toBe('--max-connections-per-address');
  expect(envName('redisUrl')).toBe('HOLDFAST_REDIS_URL');
  expect(new Set(ENV_SETTINGS.map(envName)).size).toBe(ENV_SETTINGS.length);
});
