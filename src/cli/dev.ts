import { Command } from 'commander';
import { envName } from '../config/names.js';
import type { Config } from '../config.js';
import type { Gateway } from '../gateway.js';
import { runGateway } from './run-gateway.js';
import { addSettings, type CommandDefaults, newSecret, usableSettings } from './settings.js';

const DEV_DEFAULTS: CommandDefaults = {
  host: '127.0.0.1',
  auth: ['login', 'anonymous'],
  access: 'open',
  presence: true,
  logLevel: 'warn',
  drainMs: 1_000,
  allowLoopbackHttp: true,
};

/** How to use it, as the settings allow. */
function greeting({ address, internalAddress }: Gateway, { auth = [], access, apiKey, redisUrl }: Config): string {
  const hasLogins = auth.includes('login');
  const key = envName('apiKey');
  const store = redisUrl === undefined ? 'State is in memory' : 'State is in Redis';
  const rights = access === 'open' ? 'everybody may do everything' : 'access goes by rules';
  const lines = [
    `Holdfast for development: http://${address}/`,
    '',
    'Open it in two tabs: one owns the session, the other watches. Ask its agent something, and break something then.',
    hasLogins && 'Log in there with any name, and stay logged in until you log out.',
    '',
    auth.includes('anonymous') && `By hand:     npx wscat -s holdfast.v1 -c ws://${address}/v1/connect`,
    auth.includes('anonymous') && '             {"type":"subscribe","session_id":"demo"}',
    hasLogins && apiKey !== undefined && `Logins:      POST http://${address}/v1/logins, with ${key}`,
    hasLogins &&
      apiKey === undefined &&
      `Logins:      set ${key} (\`holdfast keygen\`) to create them from a backend of yours`,
    `Health:      http://${internalAddress}/readyz`,
    `Metrics:     http://${internalAddress}/metrics`,
    '',
    `${store}, unset secrets end with this process, and ${rights}. \`holdfast serve\` is for production.`,
    'Ctrl-C stops.',
  ];
  const [title, ...rest] = lines.filter((line) => line !== false);
  return `${[title, ...rest.map((line) => line && `  ${line}`)].join('\n')}\n`;
}

export function devCommand(): Command {
  const command = new Command('dev').description(
    'run a gateway for trying out: open, in memory, with a page on / that logs in whoever says a name',
  );
  return addSettings(command, DEV_DEFAULTS).action(async () => {
    const { config } = usableSettings(command, { ...DEV_DEFAULTS, secret: newSecret() }, false);
    await runGateway(config, { page: true, openRights: config.access === 'open' }, (gateway) => {
      process.stdout.write(greeting(gateway, config));
    });
  });
}
