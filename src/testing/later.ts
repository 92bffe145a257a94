/**
 * Runs `work` once after `delayMs`, by the global timers, so that fake ones move it. In Node it keeps no process alive.
 * @returns what calls it off
 */
export function later(delayMs: number, work: () => void): () => void {
  const timer: unknown = setTimeout(work, delayMs);
  if (typeof timer === 'object') (timer as { unref?(): void }).unref?.();
  return () => clearTimeout(timer as number);
}
