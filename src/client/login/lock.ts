import { bounded } from '../bounded.js';

const LOCK = 'holdfast:refresh';
/** A frozen tab may hold the lock for as long as it pleases. */
const MAX_WAIT_MS = 2_000;

/**
 * Runs `work` while no other tab of the origin runs its own, where the browser has Web Locks. That only saves requests:
 * the gateway gives all tabs the same successor, so who does not get the lock in time goes ahead without it, and nobody
 * ever takes it from another.
 * @throws the reason of `signal` when it ends the wait, and whatever `work` throws
 */
export async function alone<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T> {
  let release = (): void => {};
  const done = new Promise<void>((resolve) => (release = resolve));
  const turn = (waiting: AbortSignal) =>
    new Promise<void>((resolve, reject) => {
      const granted = (): Promise<void> => {
        resolve();
        return done;
      };
      navigator.locks.request(LOCK, { signal: waiting }, granted).catch(reject);
    });
  try {
    // Locks are missing on plain-http pages and in older browsers, and refused where the origin is opaque.
    await bounded(turn, MAX_WAIT_MS, signal).catch(() => {});
    signal.throwIfAborted();
    return await work();
  } finally {
    release();
  }
}
