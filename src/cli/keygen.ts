import { randomBytes } from 'node:crypto';
import { Command } from 'commander';
import { envName } from '../config/names.js';
import { newSecret } from './settings.js';

const SECRETS = ['secret', 'apiKey', 'jwtSecret'] as const;

function line(name: (typeof SECRETS)[number] | 'adminKey'): string {
  return `${envName(name)}=${newSecret()}`;
}

interface KeygenOptions {
  signingKey?: boolean;
  hookSecret?: boolean;
  adminKey?: boolean;
}

/** Unlike any other's, so that a new key can be put before the old ones. */
function newKeyId(): string {
  return randomBytes(4).toString('hex');
}

export function keygenCommand(): Command {
  return new Command('keygen')
    .description('print fresh secrets as lines of an environment file')
    .option('--signing-key', `print a key that signs access tokens instead, for ${envName('signingKeys')}`)
    .option(
      '--hook-secret',
      `print a secret that signs requests to the application instead, for ${envName('hookSecret')}`,
    )
    .option('--admin-key', `print a key for those who operate nodes instead, for ${envName('adminKey')}`)
    .action(({ signingKey = false, hookSecret = false, adminKey = false }: KeygenOptions) => {
      const lines: string[] = [];
      if (signingKey) lines.push(`${envName('signingKeys')}=${newKeyId()}:${newSecret()}`);
      if (hookSecret) lines.push(`${envName('hookSecret')}=whsec_${randomBytes(32).toString('base64')}`);
      if (adminKey) lines.push(line('adminKey'));
      if (lines.length === 0) lines.push(...SECRETS.map(line));
      process.stdout.write(`${lines.join('\n')}\n`);
    });
}
