import { Command, InvalidArgumentError } from 'commander';
import { SignJWT } from 'jose';
import { ConfigError } from '../config/load.js';
import { envName } from '../config/names.js';
import { parseSecrets } from '../crypto/secrets.js';
import type { RightsRule } from '../session/rights.js';
import { rightsClaim } from '../transport/rights-claim.js';
import { addSettings, readSettings, SERVE_DEFAULTS } from './settings.js';

const UNIT_SECONDS: Record<string, number> = { s: 1, m: 60, h: 3_600, d: 86_400 };

function seconds(text: string): number {
  const [, count, unit = ''] = /^([1-9]\d{0,5})([smhd])$/.exec(text) ?? [];
  if (count === undefined) throw new InvalidArgumentError('Allowed: a number and its unit, such as 90s, 15m, 8h, 30d.');
  return Number(count) * (UNIT_SECONDS[unit] ?? 0);
}

function principal(text: string): string {
  if (text.trim() !== text || text === '' || text.length > 256) {
    throw new InvalidArgumentError('Allowed: 1 to 256 characters without space around them.');
  }
  return text;
}

function rule(text: string, earlier: RightsRule[] = []): RightsRule[] {
  const [sessions = '', allow = ''] = text.split('=');
  try {
    return [...earlier, ...rightsClaim([{ sessions, allow: allow.split(',') }])];
  } catch (error) {
    throw new InvalidArgumentError(`Allowed: a pattern of session ids, =, rights (${(error as Error).message}).`);
  }
}

interface TokenOptions {
  principal: string;
  ttl?: number;
  rights?: RightsRule[];
}

const USED_SETTINGS = ['jwtSecret', 'jwtIssuer', 'jwtAudience'] as const;
const DEFAULT_TTL_SECONDS = 3_600;
const EVERYTHING: RightsRule[] = [{ sessions: '*', allow: ['watch', 'own', 'send', 'signal'] }];

export function issueTokenCommand(): Command {
  const command = new Command('issue-token')
    .description(`print a JWT for trying out --auth jwt, signed with ${envName('jwtSecret')}`)
    .requiredOption('--principal <name>', 'whom the token is for', principal)
    .option('--ttl <duration>', 'how long it is good, such as 90s, 15m, 8h (default: 1h)', seconds)
    .option(
      '--rights <sessions=right,…>',
      'what it allows, as often as needed (default: *=watch,own,send,signal)',
      rule,
    );
  return addSettings(command, SERVE_DEFAULTS, USED_SETTINGS).action(async () => {
    const options = command.opts<TokenOptions>();
    const { jwtSecret, jwtIssuer, jwtAudience } = readSettings(command, SERVE_DEFAULTS, USED_SETTINGS).config;
    const [signing] = jwtSecret === undefined ? [] : parseSecrets(jwtSecret);
    if (signing === undefined)
      throw new ConfigError([`${envName('jwtSecret')} is missing: the token is signed with it`]);
    const now = Math.floor(Date.now() / 1_000);
    const token = new SignJWT({ rights: options.rights ?? EVERYTHING })
      .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
      .setSubject(options.principal)
      .setIssuedAt(now)
      .setExpirationTime(now + (options.ttl ?? DEFAULT_TTL_SECONDS));
    if (jwtIssuer !== undefined) token.setIssuer(jwtIssuer);
    if (jwtAudience !== undefined) token.setAudience(jwtAudience);
    process.stdout.write(`${await token.sign(Buffer.from(signing.value))}\n`);
  });
}
