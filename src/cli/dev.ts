import { Command } from 'commander';
import type { Config } from '../config.js';
import type { Gateway } from '../gateway.js';
import { runGateway } from './run-gateway.js';
import { addSettings, type CommandDefaults, newSecret, usableSettings } from './settings.js';

const DEV_DEFAULTS: CommandDefaults = {
  host: '127.0.0.1',
  auth: ['login', 'anonymous'],
  access: 'open',
  logLevel: 'warn',
  drainMs: 1_000,
  allowLoopbackHttp: true,
};

function greeting({ address, internalAddress }: Gateway, config: Config): string {
  const store = config.redisUrl === undefined ? 'State is in memory' : 'State is in Redis';
  return `Holdfast for development: http://${address}/

  Open it in two tabs: one owns the session, the other watches. Reload or close the owner and see who has it then.

  By hand:     npx wscat -s holdfast.v1 -c ws://${address}/v1/connect
               {"type":"subscribe","session_id":"demo"}
  Health:      http://${internalAddress}/readyz
  Metrics:     http://${internalAddress}/metrics

  ${store}, unset secrets end with this process, and everybody may do everything. \`holdfast serve\` is for production.
  Ctrl-C stops.
`;
}

export function devCommand(): Command {
  const command = new Command('dev').description(
    'run a gateway for trying out: anonymous, open, in memory, with a page on /',
  );
  return addSettings(command, DEV_DEFAULTS).action(async () => {
    const { config } = usableSettings(command, { ...DEV_DEFAULTS, secret: newSecret() }, false);
    await runGateway(config, { page: true, openRights: config.access === 'open' }, (gateway) => {
      process.stdout.write(greeting(gateway, config));
    });
  });
}
