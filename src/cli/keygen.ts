import { Command } from 'commander';
import { envName, SECRET_NAMES } from '../config/names.js';
import { newSecret } from './settings.js';

export function keygenCommand(): Command {
  return new Command('keygen').description('print fresh secrets as lines of an environment file').action(() => {
    process.stdout.write(SECRET_NAMES.map((name) => `${envName(name)}=${newSecret()}\n`).join(''));
  });
}
