/** Work that ends in time, whatever it waits for. */
import { onAbort } from './abort.js';
import { ClientError } from './errors.js';

/**
 * The result of `work`; after `timeoutMs` a rejection with `timeout`, even when `work` ignores its signal.
 * @param closed ends it at once, with `stopped`
 */
export async function bounded<T>(
  work: (signal: AbortSignal) => Promise<T>,
  timeoutMs: number,
  closed: AbortSignal,
): Promise<T> {
  const controller = new AbortController();
  let end = (_error: ClientError): void => {};
  const late = new Promise<never>((_resolve, reject) => {
    end = (error) => {
      reject(error);
      controller.abort(error);
    };
  });
  const timer = setTimeout(() => end(new ClientError('timeout', `no answer in ${timeoutMs} ms`)), timeoutMs);
  const unlisten = onAbort(closed, () => end(new ClientError('stopped', 'closed before there was an answer')));
  try {
    return await Promise.race([late, work(controller.signal)]);
  } finally {
    clearTimeout(timer);
    unlisten();
  }
}
