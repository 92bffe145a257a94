import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { decodeJwt, jwtVerify } from 'jose';
import { describe, expect, it } from 'vitest';
import { parseHookSecrets } from '../../src/config/hook-settings.js';
import { SETTING_NAMES } from '../../src/config.js';
import { parseSigningKeys } from '../../src/login/access-token.js';
import { testRedis } from '../support/redis.js';
import { holdfast } from './run-holdfast.js';

/** `NAME=value` lines as an environment. */
function environmentOf(lines: string): Record<string, string> {
  return Object.fromEntries(
    lines
      .trim()
      .split('\n')
      .map((line) => line.split(/=(.*)/s).slice(0, 2)),
  );
}

describe('keygen', () => {
  it('prints secrets with which serve is content, different each time', async () => {
    const [first, second] = await Promise.all([holdfast(['keygen']), holdfast(['keygen'])]);
    const env = environmentOf(first.stdout);
    expect(Object.keys(env)).toEqual(['HOLDFAST_SECRET', 'HOLDFAST_API_KEY', 'HOLDFAST_JWT_SECRET']);
    const all = [...Object.values(env), ...Object.values(environmentOf(second.stdout))];
    expect(new Set(all).size).toBe(6);
    for (const secret of all) expect(Buffer.from(secret, 'base64url')).toHaveLength(32);

    const check = await holdfast(['check-config', '--auth', 'jwt'], env);
    expect(check).toEqual({ code: 0, signal: null, stdout: 'The settings are in order.\n', stderr: '' });
  });

  it('prints keys that sign access tokens, under ids that can stand side by side', async () => {
    const printed = await Promise.all([holdfast(['keygen', '--signing-key']), holdfast(['keygen', '--signing-key'])]);
    const keys = printed.map(({ stdout }) => environmentOf(stdout)['HOLDFAST_SIGNING_KEYS'] ?? '');
    expect(parseSigningKeys(keys.join(','))).toHaveLength(2);

    const env = { ...environmentOf((await holdfast(['keygen'])).stdout), HOLDFAST_SIGNING_KEYS: keys.join(',') };
    const check = await holdfast(['check-config', '--auth', 'login,jwt'], env);
    expect(check).toMatchObject({ code: 0, stderr: '' });
  });

  it('prints a secret for requests to the application', async () => {
    const { stdout } = await holdfast(['keygen', '--hook-secret']);
    expect(parseHookSecrets(environmentOf(stdout)['HOLDFAST_HOOK_SECRET'] ?? '')).toHaveLength(1);
  });
});

describe('print-script', () => {
  it('prints a script and keys that publish a message by themselves', async () => {
    const { url, prefix } = testRedis();
    const options = ['--redis-url', url, '--redis-prefix', prefix];
    const [script, keys] = await Promise.all([
      holdfast(['print-script', ...options]),
      holdfast(['print-script', ...options, '--keys', 'chat:42']),
    ]);
    expect(script.stderr + keys.stderr).toBe('');
    const redis = new Redis(url);
    try {
      const names = keys.stdout.trim().split('\n');
      const publish = (sequence: number, tail: string) =>
        redis.eval(script.stdout, 3, ...names, 'w', sequence, 10, 10_000, 60_000, 0, 's', '', '', '', '', '', tail);
      expect(await publish(1, ',"data":1}')).toMatch(/^\d+\t1\ta1$/);
      expect(await publish(1, ',"data":1}')).toMatch(/^\d+\t1\ta1$/);
      expect(await publish(2, ',"data":2}')).toMatch(/^\d+\t2\ta2$/);
      expect(await redis.xlen(names[2] ?? '')).toBe(2);
    } finally {
      redis.disconnect();
    }
  });

  it('refuses what is no session id', async () => {
    const { code, stderr } = await holdfast(['print-script', '--keys', 'no spaces']);
    expect([code, stderr]).toEqual([1, expect.stringContaining('--keys must be')]);
  });
});

describe('settings that serve refuses', () => {
  it('say how to make secrets', async () => {
    const { code, stdout, stderr } = await holdfast(['serve']);
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toContain('HOLDFAST_SECRET is missing: make one with `holdfast keygen`');
    expect(stderr).toContain('--auth is missing');
    expect(stderr.trim().split('\n')).toHaveLength(2);
  });

  it('are told where logins lack what they need', async () => {
    const { code, stderr } = await holdfast(['check-config', '--auth', 'login', '--login-max-ms', '1000000'], {
      HOLDFAST_SECRET: 'very-secret-'.repeat(4),
      HOLDFAST_UPSTREAM_CLIENT_SECRET: 'hush',
    });
    expect(code).toBe(1);
    expect(stderr).toContain('--auth login needs HOLDFAST_API_KEY');
    expect(stderr).toContain('--login-max-ms (1000000) must be at least --login-idle-ms (1209600000)');
    expect(stderr).toContain('HOLDFAST_UPSTREAM_CLIENT_SECRET: of no use without HOLDFAST_UPSTREAM_TOKEN_URL');
    expect(stderr.trim().split('\n')).toHaveLength(3);
    expect(stderr).not.toContain('hush');
  });

  it('are all told by check-config, a line each', async () => {
    const { code, stderr } = await holdfast(['check-config', '--port', '99999', '--grace-ms', '30s'], {
      HOLDFAST_SECRET: 'hush',
      HOLDFAST_GRACE: '1',
    });
    expect(code).toBe(1);
    expect(stderr.trim().split('\n')).toHaveLength(4);
    expect(stderr).toMatch(/^(holdfast: .*\n)+$/);
    expect(stderr).not.toContain('hush');
  });
});

describe('print-config', () => {
  const env = {
    HOLDFAST_SECRET: 'very-secret-'.repeat(4),
    HOLDFAST_REDIS_URL: 'redis://user:very-secret@127.0.0.1:6379',
    HOLDFAST_GRACE_MS: '7000',
    HOLDFAST_SIGNING_KEYS: `very-secret:${'A'.repeat(43)}`,
    HOLDFAST_UPSTREAM_CLIENT_SECRET: 'very-secret',
  };

  it('tells value and source of every setting as JSON, and no secret', async () => {
    const { code, stdout } = await holdfast(['print-config', '--json', '--port', '1234'], env);
    expect(code).toBe(0);
    expect(stdout).not.toContain('very-secret');
    const settings = JSON.parse(stdout) as Record<string, { value: unknown; source: string }>;
    expect(Object.keys(settings)).toEqual(SETTING_NAMES);
    expect(settings).toMatchObject({
      host: { value: '0.0.0.0', source: 'default' },
      port: { value: 1234, source: 'flag' },
      graceMs: { value: 7000, source: 'env' },
      secret: { value: '(hidden)', source: 'env' },
      apiKey: { value: null, source: 'default' },
      signingKeys: { value: '(hidden)', source: 'env' },
      upstreamClientSecret: { value: '(hidden)', source: 'env' },
      accessTokenTtlMs: { value: 300_000, source: 'default' },
      redisUrl: { value: 'redis://(hidden)@127.0.0.1:6379', source: 'env' },
    });
  });

  it('tells the providers of a file without their secrets', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'holdfast-cli-'));
    const file = join(folder, 'config.json');
    const provider = { tokenUrl: 'https://id.example/token', clientId: 'me', clientSecret: 'very-secret' };
    writeFileSync(file, JSON.stringify({ upstreams: { example: provider } }));
    const printed = await Promise.all([
      holdfast(['print-config', '--json', '--config', file]),
      holdfast(['print-config', '--config', file]),
    ]);
    rmSync(folder, { recursive: true });
    for (const { code, stdout } of printed) {
      expect([code, stdout]).toEqual([0, expect.stringContaining('https://id.example/token')]);
      expect(stdout).not.toContain('very-secret');
    }
    expect(JSON.parse(printed[0].stdout).upstreams.value.example).toMatchObject({ clientSecret: '(hidden)' });
  });

  it('is a table otherwise', async () => {
    const { stdout } = await holdfast(['print-config'], env);
    expect(stdout).toMatch(/^setting +source +value\n/);
    expect(stdout).toMatch(/^graceMs +env +7000$/m);
    expect(stdout).not.toContain('very-secret');
    expect(stdout.trim().split('\n')).toHaveLength(SETTING_NAMES.length + 1);
  });
});

describe('issue-token', () => {
  const env = { HOLDFAST_JWT_SECRET: `new:${'n'.repeat(32)},old:${'o'.repeat(32)}` };

  it('signs with the first secret', async () => {
    const args = ['--principal', 'ada', '--ttl', '15m', '--rights', 'doc:*=watch,own', '--rights', 'chat:1=watch'];
    const { code, stdout } = await holdfast(['issue-token', ...args], { ...env, HOLDFAST_JWT_ISSUER: 'here' });
    expect(code).toBe(0);
    const { payload } = await jwtVerify(stdout.trim(), Buffer.from('n'.repeat(32)), { algorithms: ['HS256'] });
    expect(payload).toMatchObject({
      sub: 'ada',
      iss: 'here',
      rights: [
        { sessions: 'doc:*', allow: ['watch', 'own'] },
        { sessions: 'chat:1', allow: ['watch'] },
      ],
    });
    expect((payload.exp ?? 0) - (payload.iat ?? 0)).toBe(900);
  });

  it('allows everything but force for an hour unless told otherwise', async () => {
    const { stdout } = await holdfast(['issue-token', '--principal', 'ada'], env);
    const { exp = 0, iat = 0, ...claims } = decodeJwt(stdout.trim());
    expect(exp - iat).toBe(3600);
    expect(claims['rights']).toEqual([{ sessions: '*', allow: ['watch', 'own', 'send', 'signal'] }]);
  });

  it('needs the secret', async () => {
    const { code, stderr } = await holdfast(['issue-token', '--principal', 'ada']);
    expect([code, stderr]).toEqual([1, 'holdfast: HOLDFAST_JWT_SECRET is missing: the token is signed with it\n']);
  });

  it.each([
    [['--principal', ' ada'], 'without space around'],
    [['--principal', 'ada', '--ttl', '15'], 'a number and its unit'],
    [['--principal', 'ada', '--rights', 'doc'], 'rights'],
    [['--principal', 'ada', '--rights', '*=fly'], 'watch, own, send, signal, force'],
    [[], '--principal'],
  ])('refuses %j', async (args, reason) => {
    const { code, stderr } = await holdfast(['issue-token', ...args], env);
    expect(code).toBe(2);
    expect(stderr).toContain(reason);
  });
});

describe('usage', () => {
  it.each([
    [['serve', '--grace-m', '1'], '--grace-ms'],
    [['sevre'], 'serve'],
    [['serve', '--port'], 'argument missing'],
    [['serve', 'now'], 'too many arguments'],
  ])('%j is wrong', async (args, hint) => {
    const { code, stdout, stderr } = await holdfast(args);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toContain(hint);
  });

  it('of a secret as a flag is refused without showing it', async () => {
    const { code, stderr } = await holdfast(['serve', '--secret', 'hush-hush']);
    expect(code).toBe(1);
    expect(stderr).toContain('HOLDFAST_SECRET_FILE');
    expect(stderr).not.toContain('hush-hush');
  });

  it.each(['dev', 'serve', 'check-config', 'print-config', 'issue-token'])(
    '%s has help with units',
    async (command) => {
      const { code, stdout } = await holdfast([command, '--help']);
      expect(code).toBe(0);
      expect(stdout).toContain('HOLDFAST_JWT_SECRET');
      if (command !== 'issue-token') expect(stdout.replace(/\s+/g, ' ')).toContain('(default: 30000 ms)');
    },
  );

  it('without a command shows what there is', async () => {
    const { stdout, stderr } = await holdfast(['--help']);
    for (const command of ['dev', 'serve', 'check-config', 'print-config', 'print-script', 'keygen', 'issue-token']) {
      expect(stdout + stderr).toContain(command);
    }
    expect((await holdfast(['--version'])).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  });
});
