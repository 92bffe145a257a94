const resolved = Promise.resolve();

/**
 * Runs it behind what runs now, before the event loop goes on: `queueMicrotask` without the async resource that Node
 * makes for each call, which a lone message would wait for.
 * @param work must not throw
 */
export function microtask(work: () => void): void {
  void resolved.then(work);
}
