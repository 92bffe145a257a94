import type { Config } from '../config.js';
import type { Gateway, GatewayExtras } from '../gateway.js';
import { createLogger } from '../ops/logger.js';

const EXIT_CODES = { SIGINT: 130, SIGTERM: 143 } as const;

/** What a drain may take beyond its own deadline, for closing the stores. */
const CLOSE_MARGIN_MS = 2_000;

/**
 * Runs a gateway until the process is told to stop: the first signal drains and exits with 0, a second one, or one
 * before the start is over, exits at once.
 * @throws whatever the start throws
 */
export async function runGateway(
  config: Config,
  extras: Omit<GatewayExtras, 'log'>,
  onStarted: (gateway: Gateway) => void,
): Promise<void> {
  const log = createLogger({ nodeId: config.nodeId, level: config.logLevel });
  let running: Gateway | undefined;
  let stopping = false;

  async function stop(gateway: Gateway): Promise<void> {
    stopping = true;
    setTimeout(() => process.exit(0), config.drainMs + CLOSE_MARGIN_MS).unref();
    await gateway.drain();
    await gateway.close();
    process.exit(0);
  }

  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      if (running === undefined || stopping) process.exit(EXIT_CODES[signal]);
      void stop(running);
    });
  }

  // Loaded here, so that the other commands answer without it.
  const { startGateway } = await import('../gateway.js');
  running = await startGateway(config, { ...extras, log });
  onStarted(running);
}
