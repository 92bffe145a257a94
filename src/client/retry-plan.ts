/** When to connect again after a lost connection, as a pure function. */
import { fullJitterMs } from '../lib/backoff.js';
import { closeAction } from '../protocol/close-codes.js';

export const RECONNECT_BACKOFF = { baseMs: 100, capMs: 20_000 } as const;
/** What a "back off" close waits at least. */
export const BACK_OFF_FLOOR_MS = 1_000;
/** However soon what was owned is lost. */
const MIN_CAP_MS = 1_000;
/** A longer wait than this is not believed to be meant. */
export const MAX_HINT_MS = 300_000;

const REQUEST_BACKOFF = { baseMs: 250, capMs: 5_000 } as const;

/**
 * When to send a request again that was refused for now.
 * @param retryAfterMs what the gateway asked to wait
 */
export function requestDelayMs(failures: number, retryAfterMs = 0): number {
  return Math.min(MAX_HINT_MS, Math.max(retryAfterMs, fullJitterMs(failures, REQUEST_BACKOFF)));
}

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
  /** The longest wait that cannot cost what this client owned, if it can have that back at all. */
  maxWaitMs?: number;
}

/**
 * @param random uniform in [0, 1)
 * @returns how long to wait, in ms; undefined: for ever
 */
export function planRetry(
  { code, attempt, hint, canRefreshLogin, maxWaitMs = Number.POSITIVE_INFINITY }: Closure,
  random = Math.random,
): number | undefined {
  const { baseMs } = RECONNECT_BACKOFF;
  const capMs = Math.min(RECONNECT_BACKOFF.capMs, Math.max(MIN_CAP_MS, maxWaitMs));
  const backoffMs = fullJitterMs(attempt, { baseMs, capMs }, random);
  switch (closeAction(code)) {
    case 'stop':
      return undefined;
    case 'refresh_login':
      return canRefreshLogin ? backoffMs : undefined;
    case 'back_off':
      return Math.min(RECONNECT_BACKOFF.capMs, BACK_OFF_FLOOR_MS + backoffMs);
    case 'reconnect':
      if (hint === undefined) return backoffMs;
      // Hints to come at once, over connections that do not last, must not make a client spin.
      return Math.max(attempt > 0 ? backoffMs : 0, hintedMs(hint, random));
  }
}

function hintedMs({ afterMs, jitterMs }: ReconnectHint, random: () => number): number {
  return Math.min(MAX_HINT_MS, Math.max(0, afterMs) + Math.floor(random() * Math.max(0, jitterMs)));
}
