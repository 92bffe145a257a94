import { ConfigError } from '../config/load.js';
import { type Config, configSchema } from '../config.js';
import { adminKey } from '../ops/admin.js';
import { FileShortage } from '../ops/file-shortage.js';
import { createInternalServer } from '../ops/health.js';
import { createLogger } from '../ops/logger.js';
import { Workers } from '../ops/workers.js';
import { version } from '../version.js';
import { CLOSE_MARGIN_MS, EXIT_CODES } from './run-gateway.js';

/** Ending a process takes longer than closing a node. */
const END_MARGIN_MS = 1_000;

/**
 * Runs `--workers` processes of this very command line, which share the public port, and serves the internal port for
 * all. Signals do what they do to a single gateway. When this process is killed the workers end too.
 * @throws ConfigError, NodeJS.ErrnoException such as EADDRINUSE
 */
export async function runWorkers(config: Config): Promise<void> {
  const longest = configSchema.shape.nodeId.safeParse(`${config.nodeId}-${config.workers}`);
  if (!longest.success) throw new ConfigError([`--node-id is too long to append -${config.workers} to it`]);
  const log = createLogger({ nodeId: config.nodeId, level: config.logLevel });
  const workers = new Workers({
    count: config.workers,
    nodeId: config.nodeId,
    args: (nodeId) => [...process.argv.slice(2), '--node-id', nodeId],
    stopMs: config.drainMs + CLOSE_MARGIN_MS + END_MARGIN_MS,
    log,
  });
  const status = async () => ({
    node: config.nodeId,
    version: version(),
    uptime_ms: Math.round(process.uptime() * 1_000),
    workers: await workers.status(),
  });
  const files = new FileShortage(log);
  const internal = createInternalServer({
    host: config.internalHost,
    port: config.internalPort,
    live: () => workers.live,
    readiness: () => workers.readiness(),
    status,
    metrics: workers,
    onError: (error) => {
      if (!files.noticed(error)) log.error({ error }, 'internal port failed');
    },
    admin: {
      ...(config.adminKey !== undefined && { key: adminKey(config.adminKey) }),
      drain: () => workers.drain(),
      undrain: () => workers.undrain(),
    },
  });

  const exitAtOnce = (signal: keyof typeof EXIT_CODES): void => {
    workers.kill();
    process.exit(EXIT_CODES[signal]);
  };
  let onSignal = exitAtOnce;
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => onSignal(signal));

  async function stop(): Promise<void> {
    await workers.stop();
    await internal.close();
    process.exit(0);
  }

  const { port } = await internal.listen();
  const failed = await workers.start();
  // It has said why.
  if (failed !== undefined) process.exit(failed);
  log.info({ workers: config.workers, internal_address: `${config.internalHost}:${port}` }, 'workers started');
  onSignal = () => {
    onSignal = exitAtOnce;
    void stop();
  };
}
