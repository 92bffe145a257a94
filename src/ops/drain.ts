/**
 * Connections leave a node: each is told when and how to come back, and they are closed evenly over a window, so that
 * the other nodes get a stream of reconnects and not a wave.
 */
import type { Clock } from '../lib/clock.js';
import type { Log } from '../lib/log.js';

/** A connection as the drain sees it. */
export interface Drainable {
  readonly open: boolean;
  /** Sends the `reconnect` hint. */
  hint(afterMs: number, jitterMs: number, reason: 'drain' | 'rebalance'): void;
  /** Holds the connection's leases for `holdMs`, then closes it. Must not reject. */
  leave(holdMs: number): Promise<void>;
}

export interface LeaveOptions {
  /** The node's connections, oldest first; read anew at each step, since clients leave by themselves. */
  connections(): ReadonlySet<Drainable>;
  /** After its close a client waits for `afterMs` and a random part of `jitterMs`. */
  afterMs: number;
  jitterMs: number;
  graceMs: number;
  clock: Clock;
  log: Log;
  /** Waits; the tests' clock does it without time passing. */
  sleep(ms: number): Promise<void>;
}

export interface DrainOptions extends LeaveOptions {
  /** When the last connection is told to close, counted from now. */
  windowMs: number;
  /** When the drain gives up on those that have not closed, counted from now. Longer than the window. */
  deadlineMs: number;
  /** Ends the drain; who was not told to close stays. */
  signal?: AbortSignal;
}

export interface DrainResult {
  /** How many connections there were. */
  total: number;
  /** How many were still there at the end. */
  left: number;
  durationMs: number;
}

const STEP_MS = 50;
const PROGRESS_EVERY_MS = 5_000;
/** What a client may need for connecting and reclaiming once its wait is over. */
const RETURN_MARGIN_MS = 10_000;

/** How many of `total` connections should have been told to close after `elapsedMs`. */
export function closesDue(total: number, elapsedMs: number, windowMs: number): number {
  return elapsedMs >= windowMs ? total : Math.floor((total * elapsedMs) / windowMs);
}

/** How long a node holds a session whose connection it closes: long enough for a client that does as it was told. */
export function holdForMs({
  graceMs,
  afterMs,
  jitterMs,
}: Pick<LeaveOptions, 'graceMs' | 'afterMs' | 'jitterMs'>): number {
  return Math.max(graceMs, afterMs + jitterMs + RETURN_MARGIN_MS);
}

/** Resolves when every connection is gone, or at the deadline. Upgrades must be refused before. */
export async function drain(options: DrainOptions): Promise<DrainResult> {
  const { clock, connections, windowMs, deadlineMs, afterMs, jitterMs, log, signal } = options;
  const startedMs = clock.monotonicMs();
  const holdMs = holdForMs(options);
  const queue = [...connections()];
  const total = queue.length;
  log.info({ connections: total, window_ms: windowMs }, 'drain started');
  for (const connection of queue) connection.hint(afterMs, jitterMs, 'drain');

  let next = 0;
  let told = 0;
  let loggedMs = 0;
  let elapsedMs = 0;
  while (connections().size > 0 && elapsedMs < deadlineMs && signal?.aborted !== true) {
    if (elapsedMs - loggedMs >= PROGRESS_EVERY_MS) {
      loggedMs = elapsedMs;
      log.info({ connections: total, left: connections().size }, 'drain under way');
    }
    const due = closesDue(total, elapsedMs, windowMs);
    for (; told < due && next < total; next += 1) {
      // Those that have left by themselves take no turn, so that the drain ends earlier for them.
      if (queue[next]?.open !== true) continue;
      void queue[next]?.leave(holdMs);
      told += 1;
    }
    // Upgrades that were already under way when the drain began.
    if (next === total) for (const connection of connections()) if (connection.open) void connection.leave(holdMs);
    await options.sleep(Math.min(STEP_MS, deadlineMs - elapsedMs));
    elapsedMs = clock.monotonicMs() - startedMs;
  }

  const result = { total, left: connections().size, durationMs: Math.round(elapsedMs) };
  log.info({ connections: total, left: result.left, duration_ms: result.durationMs }, 'drain ended');
  return result;
}

export interface ShedOptions extends LeaveOptions {
  count: number;
  /** Closes a second. */
  perSecond: number;
  signal: AbortSignal;
  /** Called after each step. */
  onProgress(left: number): void;
}

/** Closes so many of the oldest connections at that rate, while there are any. Upgrades are taken all the time. */
export async function shed(options: ShedOptions): Promise<void> {
  const { afterMs, clock, connections, count, jitterMs, log, onProgress, perSecond, signal } = options;
  const startedMs = clock.monotonicMs();
  const windowMs = (count / perSecond) * 1_000;
  const holdMs = holdForMs(options);
  log.info({ connections: connections().size, shed: count, per_second: perSecond }, 'rebalance started');
  let told = 0;
  for (let exhausted = false; told < count && !exhausted && !signal.aborted; onProgress(count - told)) {
    await options.sleep(STEP_MS);
    const due = closesDue(count, clock.monotonicMs() - startedMs, windowMs);
    exhausted = true;
    for (const connection of connections()) {
      if (!connection.open) continue;
      exhausted = false;
      if (told >= due || signal.aborted) break;
      connection.hint(afterMs, jitterMs, 'rebalance');
      void connection.leave(holdMs);
      told += 1;
    }
  }
  log.info({ connections: connections().size, shed: told }, 'rebalance ended');
}
