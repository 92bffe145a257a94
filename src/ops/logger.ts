/** One JSON line an event. */
import { type DestinationStream, pino } from 'pino';
import type { Log } from '../lib/log.js';
import { censor } from './censor.js';

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export interface LoggerOptions {
  nodeId: string;
  level: LogLevel;
  /** Standard output if absent. */
  destination?: DestinationStream;
}

const MAX_CAUSES = 3;

/** Only what errors always have: libraries hang requests, commands and bodies on theirs. */
function plainError(error: unknown): unknown {
  return errorFields(error, 0);
}

function errorFields(error: unknown, depth: number): unknown {
  if (!(error instanceof Error)) return String(error);
  const { name, message, stack, cause } = error;
  const code = 'code' in error ? { code: String(error.code) } : {};
  const causes = cause === undefined || depth === MAX_CAUSES ? {} : { cause: errorFields(cause, depth + 1) };
  return { name, message, ...code, stack, ...causes };
}

/**
 * The fields `error` and `err` take an error. Whatever looks like a token, a credential or a URL's query is taken out of
 * every line.
 */
export function createLogger({ nodeId, level, destination }: LoggerOptions): Log {
  const options = {
    level,
    base: { node: nodeId },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
    serializers: { error: plainError, err: plainError },
    hooks: { streamWrite: censor },
  };
  return pino(options, destination ?? standardOutput());
}

/** Not a system call a line: a burst is written in blocks, a lone line within a moment, the rest when the process exits. */
function standardOutput(): DestinationStream {
  const blocks = { sync: false, minLength: 8_192, periodicFlush: 100 };
  // As strings it would copy the whole block for each line that is added.
  const output = pino.destination({ fd: 1, ...blocks, contentMode: 'buffer' });
  return { write: (line) => void output.write(Buffer.from(line) as unknown as string) };
}
