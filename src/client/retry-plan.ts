/** When to connect again after a lost connection, as a pure function. */
import { fullJitterMs } from '../lib/backoff.js';
import { closeAction } from '../protocol/close-codes.js';

export const RECONNECT_BACKOFF = { baseMs: 100, capMs: 20_000 } as const;
/** What a "back off" close waits at least. */
export const BACK_OFF_FLOOR_MS = 1_000;
/** A longer wait than this is not believed to be meant. */
export const MAX_HINT_MS = 300_000;

/** What the gateway's `reconnect` message said. */
export interface ReconnectHint {
  afterMs: number;
  jitterMs: number;
}

export interface Closure {
  /** The close code; 1006 for a connection that broke off or never came about. */
  code: number;
  /** Attempts since the last connection that lasted. */
  attempt: number;
  hint: ReconnectHint | undefined;
  /** Whether a new attempt brings a new credential. */
  canRefreshLogin: boolean;
}

export type RetryPlan = { action: 'stop' } | { action: 'retry'; delayMs: number };

/** @param random uniform in [0, 1) */
export function planRetry({ code, attempt, hint, canRefreshLogin }: Closure, random = Math.random): RetryPlan {
  const backoffMs = fullJitterMs(attempt, RECONNECT_BACKOFF, random);
  switch (closeAction(code)) {
    case 'stop':
      return { action: 'stop' };
    case 'refresh_login':
      return canRefreshLogin ? { action: 'retry', delayMs: backoffMs } : { action: 'stop' };
    case 'back_off':
      return { action: 'retry', delayMs: Math.min(RECONNECT_BACKOFF.capMs, BACK_OFF_FLOOR_MS + backoffMs) };
    case 'reconnect':
      return { action: 'retry', delayMs: hint === undefined ? backoffMs : hintedMs(hint, random) };
  }
}

function hintedMs({ afterMs, jitterMs }: ReconnectHint, random: () => number): number {
  return Math.min(MAX_HINT_MS, Math.max(0, afterMs) + Math.floor(random() * Math.max(0, jitterMs)));
}
