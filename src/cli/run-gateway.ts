import { setFlagsFromString } from 'node:v8';
import type { Config } from '../config.js';
import type { Gateway, GatewayExtras } from '../gateway.js';
import { createLogger } from '../ops/logger.js';

/** Of a process that a signal ended before it could drain. */
export const EXIT_CODES = { SIGINT: 130, SIGTERM: 143 } as const;

/** What a drain may take beyond its own deadline, for closing the stores. */
export const CLOSE_MARGIN_MS = 2_000;

/**
 * Runs a gateway until the process is told to stop: the first signal drains and exits with 0, a second one, or one
 * before the start is over, exits at once. A worker is told to stop by SIGTERM alone.
 * @throws whatever the start throws
 */
export async function runGateway(
  config: Config,
  extras: Omit<GatewayExtras, 'log'>,
  onStarted: (gateway: Gateway) => void,
): Promise<void> {
  // While messages flow, little is alive when V8 collects its young generation: one thread copies it for less than it
  // takes to wake the helpers. V8 reads the flag at each collection.
  setFlagsFromString('--no-parallel-scavenge');
  const log = createLogger({ nodeId: config.nodeId, level: config.logLevel });
  const exitAtOnce = (signal: keyof typeof EXIT_CODES): void => process.exit(EXIT_CODES[signal]);
  let onSignal = exitAtOnce;
  process.on('SIGTERM', () => onSignal('SIGTERM'));
  // Ctrl-C reaches all processes of a terminal; workers are told by the one that started them.
  process.on('SIGINT', () => extras.worker !== true && onSignal('SIGINT'));

  // Loaded here, so that the other commands answer without it.
  const { startGateway } = await import('../gateway.js');
  const gateway = await startGateway(config, { ...extras, log });

  async function stop(): Promise<void> {
    setTimeout(() => process.exit(0), config.drainMs + CLOSE_MARGIN_MS).unref();
    await gateway.drain();
    await gateway.close();
    process.exit(0);
  }

  onSignal = () => {
    // Whoever stops all workers may say so to each by itself too.
    onSignal = extras.worker === true ? () => {} : exitAtOnce;
    void stop();
  };
  onStarted(gateway);
}
