/**
 * Connections leave a node: they are closed at a pace, each with the hint to come back at once, so that the other nodes
 * get a stream of reconnects and not a wave.
 */
import type { Clock } from '../lib/clock.js';
import type { Log } from '../lib/log.js';
import { Pace } from './pace.js';

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
  /** The longest of any session. */
  graceMs: number;
  clock: Clock;
  log: Log;
  /** Waits; the tests' clock does it without time passing. */
  sleep(ms: number): Promise<void>;
}

export interface DrainOptions extends LeaveOptions {
  /** Never more closes than this within a second, until time runs out. */
  perSecond: number;
  /** Over which time those come back whose connection ends before its turn, since the process was killed. */
  spreadMs: number;
  /** When the drain gives up on those that have not closed, counted from now. */
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
/** The part of the deadline after which a node that was too busy to keep its pace closes what is left at once. */
const LAST_CALL = 0.9;

/** How long a node holds a session whose connection it closes: long enough for a client that does as it was told. */
export function holdForMs(graceMs: number, waitMs = 0): number {
  return Math.max(graceMs, waitMs + RETURN_MARGIN_MS);
}

/** Closes a connection whose turn it is. Its client comes back at once: any jitter on top would bunch what is paced. */
export function dismiss(connection: Drainable, reason: 'drain' | 'rebalance', holdMs: number): Promise<void> {
  connection.hint(0, 0, reason);
  return connection.leave(holdMs);
}

/** Dismisses connections, and knows how many of them are not gone yet. */
class Dismissals {
  readonly #reason: 'drain' | 'rebalance';
  readonly #holdMs: number;
  #leaving = 0;

  constructor(reason: 'drain' | 'rebalance', holdMs: number) {
    this.#reason = reason;
    this.#holdMs = holdMs;
  }

  get leaving(): number {
    return this.#leaving;
  }

  send(connection: Drainable): void {
    this.#leaving += 1;
    void dismiss(connection, this.#reason, this.#holdMs).then(() => {
      this.#leaving -= 1;
    });
  }
}

/** Resolves when every connection is gone, or at the deadline. Upgrades must be refused before. */
export async function drain(options: DrainOptions): Promise<DrainResult> {
  const { clock, connections, perSecond, spreadMs, deadlineMs, graceMs, log, signal } = options;
  const startedMs = clock.monotonicMs();
  const pace = new Pace(perSecond, startedMs);
  const holdMs = holdForMs(graceMs, spreadMs);
  const dismissals = new Dismissals('drain', holdMs);
  const queue = [...connections()];
  const total = queue.length;
  log.info({ connections: total, per_second: Math.round(perSecond) }, 'drain started');
  // Replaced by `dismiss`, should it come to that.
  for (const connection of queue) connection.hint(0, spreadMs, 'drain');

  let next = 0;
  let loggedMs = 0;
  let elapsedMs = 0;
  while (connections().size > 0 && elapsedMs < deadlineMs && signal?.aborted !== true) {
    if (elapsedMs - loggedMs >= PROGRESS_EVERY_MS) {
      loggedMs = elapsedMs;
      log.info({ connections: total, left: connections().size }, 'drain under way');
    }
    for (; next < total; next += 1) {
      const connection = queue[next];
      // Those that have left by themselves take no turn, so that the drain ends earlier for them.
      if (connection?.open !== true) continue;
      if (elapsedMs >= deadlineMs * LAST_CALL) void connection.leave(holdMs);
      else if (pace.take(startedMs + elapsedMs, dismissals.leaving)) dismissals.send(connection);
      else break;
    }
    // Upgrades that were already under way when the drain began.
    if (next === total) for (const late of connections()) if (late.open) dismissals.send(late);
    await options.sleep(Math.min(STEP_MS, deadlineMs - elapsedMs));
    elapsedMs = clock.monotonicMs() - startedMs;
  }

  const result = { total, left: connections().size, durationMs: Math.round(elapsedMs) };
  log.info({ connections: total, left: result.left, duration_ms: result.durationMs }, 'drain ended');
  return result;
}

export interface ShedOptions extends LeaveOptions {
  count: number;
  /** Never more closes than this within a second. */
  perSecond: number;
  signal: AbortSignal;
  /** Called after each step. */
  onProgress(left: number): void;
}

/** Closes so many of the oldest connections at that pace, while there are any. Upgrades are taken all the time. */
export async function shed(options: ShedOptions): Promise<void> {
  const { clock, connections, count, graceMs, log, onProgress, perSecond, signal } = options;
  const pace = new Pace(perSecond, clock.monotonicMs());
  const dismissals = new Dismissals('rebalance', holdForMs(graceMs));
  log.info({ connections: connections().size, shed: count, per_second: perSecond }, 'rebalance started');
  let told = 0;
  for (let exhausted = false; told < count && !exhausted && !signal.aborted; onProgress(count - told)) {
    await options.sleep(STEP_MS);
    const nowMs = clock.monotonicMs();
    exhausted = true;
    for (const connection of connections()) {
      if (!connection.open) continue;
      exhausted = false;
      if (told === count || signal.aborted || !pace.take(nowMs, dismissals.leaving)) break;
      told += 1;
      dismissals.send(connection);
    }
  }
  log.info({ connections: connections().size, shed: told }, 'rebalance ended');
}
