import { Command } from 'commander';
import { addSettings, SERVE_DEFAULTS, usableSettings } from './settings.js';

export function checkConfigCommand(): Command {
  const command = new Command('check-config').description('say all that is wrong with the settings of `serve`');
  return addSettings(command, SERVE_DEFAULTS).action(() => {
    usableSettings(command, SERVE_DEFAULTS, true);
    process.stdout.write('The settings are in order.\n');
  });
}
