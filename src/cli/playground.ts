import { once } from 'node:events';
import { createServer } from 'node:http';
import { Command, Option } from 'commander';
import { ConfigError } from '../config/load.js';
import { envName } from '../config/names.js';
import type { Config, SettingName } from '../config.js';
import { createLogger } from '../ops/logger.js';
import { type Backend, createBackend } from '../server/index.js';
import { pageListener, pageMounts } from '../transport/page.js';
import { addSettings, readSettings, SERVE_DEFAULTS } from './settings.js';

const USED = ['host', 'port', 'apiKey', 'nodeId', 'logLevel'] as const satisfies SettingName[];

/** @throws ConfigError */
function backendAt(url: string, apiKey: string): Backend {
  try {
    return createBackend({ url, apiKey });
  } catch (error) {
    throw new ConfigError([`--gateway: ${(error as Error).message}`]);
  }
}

/** Serves the page of `dev` for gateways that are elsewhere, as the backend of an application would: by their API key. */
async function servePage(gateway: string, { host, port, apiKey, nodeId, logLevel: level }: Config): Promise<void> {
  if (apiKey === undefined) {
    throw new ConfigError([`${envName('apiKey')} is missing: with that of the gateways the page creates logins`]);
  }
  const log = createLogger({ nodeId, level });
  const { createLogin, revokeLogin } = backendAt(gateway, apiKey);
  const server = createServer(
    pageListener({
      page: pageMounts(new URL('..', import.meta.url)),
      origins: { allowed: [], allowLoopback: true },
      logins: { create: (login) => createLogin(login), revoke: (id) => revokeLogin(id) },
      log,
    }),
  );
  server.listen({ host, port });
  await once(server, 'listening');
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(0));
  log.info({ host, port, gateway }, 'page served');
}

export function playgroundCommand(): Command {
  const command = new Command('playground')
    .description('serve the page of dev for gateways behind the same load balancer; it logs in whoever says a name')
    .addOption(
      new Option('--gateway <origin>', 'where this process reaches the gateways').default('http://127.0.0.1:8080'),
    );
  return addSettings(command, SERVE_DEFAULTS, USED).action(async () => {
    const { gateway } = command.opts<{ gateway: string }>();
    await servePage(gateway, readSettings(command, SERVE_DEFAULTS, USED).config);
  });
}
