const resolved = Promise.resolve();

/**
 * Runs it behind what runs now, before the event loop goes on: `queueMicrotask` without the async resource that Node
 * makes for each call, which a lone message would wait for.
 * @param work must not throw: the process would end as by a rejection that nobody handles, after the other microtasks
 */
export function microtask(work: () => void): void {
  void resolved.then(work);
}
