import { Command } from 'commander';
import { runGateway } from './run-gateway.js';
import { addSettings, SERVE_DEFAULTS, usableSettings } from './settings.js';

export function serveCommand(): Command {
  const command = new Command('serve').description(
    'run a gateway; needs HOLDFAST_SECRET and --auth, and HOLDFAST_API_KEY for --auth login',
  );
  return addSettings(command, SERVE_DEFAULTS).action(async () => {
    const { config } = usableSettings(command, SERVE_DEFAULTS, true);
    await runGateway(config, { page: false, openRights: false }, () => {});
  });
}
