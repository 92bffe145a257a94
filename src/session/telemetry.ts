import type { ErrorCode } from '../protocol/error-codes.js';
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
  /** Messages that the store accepted. */
  published(source: 'owner' | 'application', count: number): void;
  /** A message or signal was refused. */
  messageRefused(code: ErrorCode): void;
  signalled(): void;
  /** Messages written to live subscribers: one counts once for each. */
  delivered(count: number): void;
  /** Messages written to subscribers that were behind: one counts once for each. */
  recovered(count: number): void;
  /** A session's live stream was found to lack something, and read it from the history. */
  filled(): void;
  /** Subscribers were told of another history: the live ones of a session together, or one that was behind. */
  reset(recovered: boolean): void;
  /** A subscriber took its messages too slowly and gets them from the history. */
  lagged(): void;
}
