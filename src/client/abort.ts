/** What calls an operation off. */
export interface Abortable {
  /**
   * Aborted: the call rejects with the signal's reason. What was not sent yet is not sent; what was sent may have been
   * done at the gateway all the same, and its answer is ignored.
   */
  signal?: AbortSignal | undefined;
}

/**
 * Calls `abort` once the signal is aborted; at once when it is already.
 * @returns what ends that
 */
export function onAbort(signal: AbortSignal | undefined, abort: (reason: unknown) => void): () => void {
  const listener = () => abort(signal?.reason);
  if (signal?.aborted) listener();
  else signal?.addEventListener('abort', listener, { once: true });
  return () => signal?.removeEventListener('abort', listener);
}
