import cluster from 'node:cluster';
import { Command } from 'commander';
import type { Config } from '../config.js';
import { answerCalls } from '../ops/worker-channel.js';
import { runGateway } from './run-gateway.js';
import { runWorkers } from './run-workers.js';
import { addSettings, SERVE_DEFAULTS, usableSettings } from './settings.js';

const EXTRAS = { page: false, openRights: false };

async function serve(config: Config): Promise<void> {
  if (config.workers === 1) return runGateway(config, EXTRAS, () => {});
  if (cluster.isPrimary) return runWorkers(config);
  await runGateway(config, { ...EXTRAS, worker: true }, ({ operations, metrics }) => {
    answerCalls({
      readiness: async () => operations.readiness(),
      status: async () => operations.status(),
      metrics,
      drain: async () => operations.drain(),
      undrain: async () => operations.undrain(),
    });
  });
}

export function serveCommand(): Command {
  const command = new Command('serve').description(
    'run a gateway; needs HOLDFAST_SECRET and --auth, and HOLDFAST_API_KEY for --auth login',
  );
  return addSettings(command, SERVE_DEFAULTS).action(() => serve(usableSettings(command, SERVE_DEFAULTS, true).config));
}
