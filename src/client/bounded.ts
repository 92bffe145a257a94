/** Work that ends in time, whatever it waits for. */
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
  const onClosed = () => end(new ClientError('stopped', 'closed before there was an answer'));
  const timer = setTimeout(() => end(new ClientError('timeout', `no answer in ${timeoutMs} ms`)), timeoutMs);
  closed.addEventListener('abort', onClosed);
  if (closed.aborted) onClosed();
  try {
    return await Promise.race([late, work(controller.signal)]);
  } finally {
    clearTimeout(timer);
    closed.removeEventListener('abort', onClosed);
  }
}
