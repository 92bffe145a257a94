import type { ClaimResult } from './ports.js';

/** What the domain reports; metrics implement it. */
export interface SessionTelemetry {
  claimed(result: ClaimResult | 'error', durationMs: number): void;
  reclaimed(result: ClaimResult | 'expired' | 'invalid' | 'error', durationMs: number): void;
  /** An owner's action was refused; `lease` by this node's own clock, `store` by the fencing epoch. */
  fenced(by: 'lease' | 'store'): void;
  /** Sessions with local subscribers, and how many leases this node holds, when asked by `Sessions.report`. */
  counts(sessions: { free: number; owned: number; held: number }, leases: number): void;
  swept(released: number): void;
  /** Local views that differed from the store's after a gap or at a check. */
  repaired(count: number): void;
}
