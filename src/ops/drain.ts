/**
 * Draining a node: tell every connection when and how to come back, then close them evenly over a window, so that the
 * other nodes get a stream of reconnects and not a wave.
 */
import type { Clock } from '../lib/clock.js';
import type { Log } from '../lib/log.js';

/** A connection as the drain sees it. */
export interface Drainable {
  readonly open: boolean;
  /** Sends the `reconnect` hint. */
  hint(afterMs: number, jitterMs: number): void;
  /** Holds the connection's leases for `holdMs`, then closes it. Must not reject. */
  leave(holdMs: number): Promise<void>;
}

export interface DrainOptions {
  /** The node's connections; read anew at each step, since clients leave by themselves. */
  connections(): ReadonlySet<Drainable>;
  /** When the last connection is told to close, counted from now. */
  windowMs: number;
  /** When the drain gives up on those that have not closed, counted from now. Longer than the window. */
  deadlineMs: number;
  /** After its close a client waits for `afterMs` and a random part of `jitterMs`. */
  afterMs: number;
  jitterMs: number;
  graceMs: number;
  clock: Clock;
  log: Log;
  /** Waits; the tests' clock does it without time passing. */
  sleep(ms: number): Promise<void>;
}

export interface DrainResult {
  /** How many connections there were. */
  total: number;
  /** How many were still there at the deadline. */
  left: number;
  durationMs: number;
}

const STEP_MS = 50;
/** What a client may need for connecting and reclaiming once its wait is over. */
const RETURN_MARGIN_MS = 10_000;

/** How many of `total` connections should have been told to close after `elapsedMs`. */
export function closesDue(total: number, elapsedMs: number, windowMs: number): number {
  return elapsedMs >= windowMs ? total : Math.floor((total * elapsedMs) / windowMs);
}

/** How long a draining node holds a session: long enough for a client that does as it was told. */
export function holdForMs({
  graceMs,
  afterMs,
  jitterMs,
}: Pick<DrainOptions, 'graceMs' | 'afterMs' | 'jitterMs'>): number {
  return Math.max(graceMs, afterMs + jitterMs + RETURN_MARGIN_MS);
}

/** Resolves when every connection is gone, or at the deadline. Upgrades must be refused before. */
export async function drain(options: DrainOptions): Promise<DrainResult> {
  const { clock, connections, windowMs, deadlineMs, afterMs, jitterMs, log } = options;
  const startedMs = clock.monotonicMs();
  const holdMs = holdForMs(options);
  const queue = [...connections()];
  const total = queue.length;
  log.info({ connections: total, window_ms: windowMs }, 'drain started');
  for (const connection of queue) connection.hint(afterMs, jitterMs);

  let told = 0;
  let elapsedMs = 0;
  while (connections().size > 0 && elapsedMs < deadlineMs) {
    const due = closesDue(total, elapsedMs, windowMs);
    for (; told < due; told += 1) void queue[told]?.leave(holdMs);
    // Upgrades that were already under way when the drain began.
    if (told === total) for (const connection of connections()) if (connection.open) void connection.leave(holdMs);
    await options.sleep(Math.min(STEP_MS, deadlineMs - elapsedMs));
    elapsedMs = clock.monotonicMs() - startedMs;
  }

  const result = { total, left: connections().size, durationMs: Math.round(elapsedMs) };
  log.info({ connections: total, left: result.left, duration_ms: result.durationMs }, 'drain ended');
  return result;
}
