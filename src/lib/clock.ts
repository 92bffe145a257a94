/** Time as the code sees it, so that tests can move it. */
export interface Clock {
  /** Wall time in ms since 1970. May jump. For logs and for detecting suspension, never for deadlines. */
  wallMs(): number;
  /** Monotonic time in ms since an arbitrary start. Never goes back; stands still while the machine sleeps. */
  monotonicMs(): number;
}

export const systemClock: Clock = {
  wallMs: () => Date.now(),
  monotonicMs: () => performance.now(),
};
