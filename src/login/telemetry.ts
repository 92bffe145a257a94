import type { LoginEndReason, PresentResult } from './ports.js';
import type { RefreshOutcome } from './upstream-request.js';

/** What logins report; metrics implement it. */
export interface LoginTelemetry {
  loginCreated(): void;
  /** By a call. One that lapses is over without anything being done. */
  loginEnded(reason: LoginEndReason): void;
  /** `invalid`: no genuine token. */
  loginRefreshed(result: PresentResult | 'invalid' | 'error'): void;
  ticket(event: 'issued' | 'taken' | 'refused'): void;
  /** A request to a provider, from before it was recorded until its answer. */
  upstreamRefreshed(result: RefreshOutcome['kind'], durationMs: number): void;
  /** Logins with connections here, and how old what this node knows of revocations is, when asked by `LiveLogins.report`. */
  liveLogins(count: number, controlLagMs: number): void;
}
