import { ConfigError } from '../config/load.js';
import { HoldfastError } from '../protocol/errors.js';
import { RedisRequirementError } from '../store/redis/errors.js';

/** What a command could not do, as a line for whoever gave it. */
export class CommandFailure extends Error {}

interface SystemError extends Error {
  code: string;
  port?: number;
  address?: string;
}

function isSystemError(error: unknown): error is SystemError {
  return error instanceof Error && 'syscall' in error && 'code' in error;
}

function explainSystemError(error: SystemError): string {
  const place = `${error.address ?? ''}:${error.port ?? ''}`;
  switch (error.code) {
    case 'EADDRINUSE':
      return `${place} is in use: stop what listens there, or choose another --port or --internal-port`;
    case 'EACCES':
      return `${place} may not be listened on by this user: choose a --port or --internal-port above 1023`;
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
      return `this machine has no address ${error.address ?? ''} to listen on: correct --host or --internal-host`;
    default:
      return error.message;
  }
}

/** What the operator is told of a failed start: lines without a stack for all that can be mended outside of the code. */
export function explainFailure(error: unknown): string {
  if (error instanceof ConfigError) return error.problems.map((problem) => `holdfast: ${problem}`).join('\n');
  if (error instanceof RedisRequirementError || error instanceof HoldfastError || error instanceof CommandFailure)
    return `holdfast: ${error.message}`;
  if (isSystemError(error)) return `holdfast: ${explainSystemError(error)}`;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
