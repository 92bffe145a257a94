import type { Clock } from '../../lib/clock.js';

/** One reading of the store's clock. */
export interface StoreTime {
  ms: number;
  /** Strictly larger than in every earlier reading. */
  us: number;
}

/** Wall time at the start, carried on by the monotonic clock: a wall clock that is set moves no deadline. */
export function storeTime(clock: Clock): () => StoreTime {
  const originMs = clock.wallMs() - clock.monotonicMs();
  let lastUs = 0;
  return () => {
    lastUs = Math.max(Math.floor((originMs + clock.monotonicMs()) * 1000), lastUs + 1);
    return { ms: Math.floor(lastUs / 1000), us: lastUs };
  };
}
