/** Calls that are repeated while that can help. */
import { fullJitterMs } from '../../lib/backoff.js';
import { onAbort } from '../abort.js';
import { bounded } from '../bounded.js';
import { ClientError } from '../errors.js';

export interface RetryLimits {
  /** For one try. */
  requestTimeoutMs: number;
  /** For all, with the waits between them. */
  operationTimeoutMs: number;
}

const BACKOFF = { baseMs: 250, capMs: 5_000 };

/**
 * Repeats what can succeed later, after the wait that the gateway asked for, and ends in time whatever hangs.
 * @param closed ends it at once, with `stopped`
 */
export function retried<T>(
  work: (signal: AbortSignal) => Promise<T>,
  { requestTimeoutMs, operationTimeoutMs }: RetryLimits,
  closed: AbortSignal,
): Promise<T> {
  const endMs = performance.now() + operationTimeoutMs;
  const run = async (signal: AbortSignal): Promise<T> => {
    for (let attempt = 0; ; attempt++) {
      try {
        return await bounded(work, requestTimeoutMs, signal);
      } catch (error) {
        if (!(error instanceof ClientError) || !error.retryable) throw error;
        const delayMs = (error.retryAfterMs ?? 0) + fullJitterMs(attempt, BACKOFF);
        if (performance.now() + delayMs >= endMs) throw error;
        await pause(delayMs, signal);
      }
    }
  };
  return bounded(run, operationTimeoutMs, closed);
}

/** Rejects with the signal's reason when it is aborted first. */
function pause(delayMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      unlisten();
      resolve();
    }, delayMs);
    const unlisten = onAbort(signal, (reason) => {
      clearTimeout(timer);
      reject(reason);
    });
  });
}
